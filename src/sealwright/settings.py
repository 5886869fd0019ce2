"""The one reader of the environment; frozen settings with every default in one place.

What is given wins over the environment, and that over the file sealwright.toml.

Every name below is read from ``SEALWRIGHT_<NAME>``, nested ones with two underscores
(``SEALWRIGHT_TIMINGS__JWKS_MAX_AGE_S=5``), collections as JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sealwright.config.fields import (
    BackendName,
    HttpUrl,
    IssuerName,
    Leeway,
    Port,
    ReplicaName,
    Seconds,
    SigningAlgorithm,
    VerifyingAlgorithm,
    Workers,
)
from sealwright.config.names import DEFAULT_ISSUER, INTERNAL_ISSUER
from sealwright.config.reading import find_file, read_file
from sealwright.config.tables import ConfigFile, IssuerTable, settings_of
from sealwright.errors import ConfigurationError, Reason

__all__ = [
    "DEFAULT_HOME",
    "DEFAULT_ISSUER",
    "DEFAULT_PORT",
    "INTERNAL_ISSUER",
    "BackendName",
    "BackendSettings",
    "FleetSettings",
    "IssuerName",
    "ServiceSettings",
    "SigningAlgorithm",
    "Timings",
    "VerifierSettings",
]

DEFAULT_HOME = Path("sealwright-data")
DEFAULT_PORT = 8700


class Timings(BaseModel):
    """The life of a key in seconds; docs/lifecycle.md explains each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jwks_max_age_s: Seconds = 300
    worst_consumer_cache_s: Seconds = 1200
    longest_token_s: float = Field(default=900, ge=4, le=86_400)
    leeway_s: Leeway = 60
    replication_s: Seconds = 60
    verify_window_floor_s: Seconds = 86_400
    restorable_s: Seconds = 30 * 86_400
    rotation_period_s: Seconds = 30 * 86_400
    pending_s: Seconds = 48 * 3600
    published_keys: int = Field(default=20, ge=2, le=100)


class FleetSettings(BaseModel):
    """The verifiers that report to the service; docs/lifecycle.md explains each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    acknowledged_share: float = Field(default=0.99, ge=0.5, le=1)
    lost_after_s: float = Field(default=600, ge=20, le=86_400)
    patience_s: float = Field(default=7 * 86_400, ge=0, le=90 * 86_400)


class _FromEnvironment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SEALWRIGHT_", env_nested_delimiter="__", frozen=True, extra="ignore")

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read the environment; what is given wins. Raises ConfigurationError naming every wrong setting."""
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            problems = "; ".join(_problem(fault["loc"], fault["msg"]) for fault in error.errors())
            raise ConfigurationError(Reason.SETTINGS_INVALID, f"wrong settings: {problems}") from None
        except ValueError as error:  # a collection that is not JSON
            raise ConfigurationError(Reason.SETTINGS_INVALID, f"wrong settings: {error}") from None


class _Places(_FromEnvironment):
    """Where to look before the file is read."""

    config: Path | None = None
    home: Path = DEFAULT_HOME


class BackendSettings(BaseModel):
    """Where private keys live, and the most calls to sign at one time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: SecretStr
    concurrency: int | None = Field(default=None, ge=1, le=1024)


def _table_of(key: str) -> BeforeValidator:
    """A text alone stands for a table with this key."""
    return BeforeValidator(lambda given: {key: given} if isinstance(given, str) else given)


class _ConfigFile(PydanticBaseSettingsSource):
    """sealwright.toml as a source below the environment."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # __call__ answers for all fields at once

    def __call__(self) -> dict[str, Any]:
        given, home = self.current_state.get("config"), Path(self.current_state.get("home") or DEFAULT_HOME)
        path = find_file(None if given is None else Path(given), home)
        return {} if path is None else {**settings_of(read_file(path, ConfigFile), path.parent), "config": path}


class ServiceSettings(_FromEnvironment):
    """What ``sealwright up`` runs with."""

    config: Path | None = None  # the file that was read, if any
    home: Path = DEFAULT_HOME
    host: str = "127.0.0.1"
    port: Port = DEFAULT_PORT
    public_url: HttpUrl | None = None
    database_url: SecretStr | None = None
    database_url_file: Path | None = None
    replica: ReplicaName | None = None  # the audit chain of this process
    keys_folder: Path | None = None  # of the backend local; shared by replicas that have no other backend
    kek: SecretStr | None = None
    kek_file: Path | None = None
    previous_kek_file: Path | None = None
    backends: dict[BackendName, Annotated[BackendSettings, _table_of("uri")]] = {}  # "local" is always there
    issuers: dict[IssuerName, Annotated[IssuerTable, _table_of("algorithm")]] = {
        DEFAULT_ISSUER: IssuerTable(algorithm="ES256")
    }
    trusted_issuers: dict[str, HttpUrl] = {}  # foreign issuer -> its JWKS URL, for POST /v1/verify
    internal_algorithm: SigningAlgorithm = "ES256"
    internal_backend: BackendName = "local"
    operator_lifetime_s: float = Field(default=900, ge=4, le=900)
    credentials_renewable_s: float = Field(default=12 * 3600, ge=4, le=30 * 86_400)
    denied_calls_burst: int = Field(default=20, ge=1, le=100_000)
    denied_calls_per_s: float = Field(default=1, gt=0, le=1000)
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None
    scheduler_every_s: float = Field(default=10, ge=0.1, le=3600)
    audit_checkpoint_every_s: float = Field(default=300, ge=0.1, le=86_400)
    signing_waiting: int = Field(default=1000, ge=1, le=100_000)
    signing_deadline_s: float = Field(default=2, ge=0.01, le=60)
    timings: Timings = Timings()
    fleet: FleetSettings = FleetSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _ConfigFile(settings_cls)

    @classmethod
    def places(cls, home: Path | None) -> tuple[Path | None, Path]:
        """The file that the environment names, and the data folder beside which one may be."""
        named = _Places.load(home=home)
        return named.config, named.home

    @model_validator(mode="before")
    @classmethod
    def _read_database_url(cls, given: dict[str, Any]) -> dict[str, Any]:
        path = given.get("database_url_file")
        if path is None or given.get("database_url") is not None:
            return given
        try:
            return {**given, "database_url": Path(path).read_text("utf-8").strip()}
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"the file {path} with the URL of the database cannot be read") from None

    def at_url(self) -> str:
        """The base of every issuer's ``iss``, without a trailing slash."""
        return self.public_url or self.local_url()

    def local_url(self) -> str:
        """Where the service listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_cert_file else 'http'}://{host}:{self.port}"

    def issuer_url(self, name: str) -> str:
        """The "iss" of an issuer's tokens, and the base of its well-known pages."""
        return f"{self.at_url()}/issuers/{name}"


class ClientSettings(_FromEnvironment):
    """Where the command line finds a service that is not on this machine, and with which credential."""

    url: HttpUrl | None = None
    credential_file: Path | None = None
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None


class VerifierSettings(_FromEnvironment):
    """What ``sealwright-verifier`` runs with: the file verifier.toml, or what it would say of one issuer."""

    model_config = SettingsConfigDict(env_prefix="SEALWRIGHT_VERIFIER_", frozen=True, extra="ignore")

    config: Path | None = None
    host: str | None = None  # of the file, when None
    port: Port | None = None
    socket: Path | None = None
    workers: Workers | None = None
    issuer: str | None = Field(default=None, min_length=1)
    audience: str | None = Field(default=None, min_length=1)
    jwks_url: HttpUrl | None = None
    algorithms: frozenset[VerifyingAlgorithm] | None = Field(default=None, min_length=1)
    typ: str | None = None
    leeway_s: Leeway | None = None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    told, name = message.removeprefix("Value error, "), "__".join(map(str, location)).upper()
    return f"{name}: {told}" if name else told
