"""The one reader of the environment; frozen settings with every default in one place.

Every name below is read from ``SEALWRIGHT_<NAME>``, nested ones with two underscores
(``SEALWRIGHT_TIMINGS__JWKS_MAX_AGE_S=5``), collections as JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from sealwright.errors import ConfigurationError, Reason
from sealwright.jose.algorithms import ALGORITHMS, ASYMMETRIC
from sealwright.jose.claims import MAXIMUM_LEEWAY_S

DEFAULT_HOME = Path("sealwright-data")
DEFAULT_PORT = 8700
DEFAULT_ISSUER = "default"
INTERNAL_ISSUER = "internal"
ISSUER_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


def _signing_algorithm(name: str) -> str:
    if name not in ASYMMETRIC:
        raise ValueError(f"not a signing algorithm; known: {', '.join(sorted(ASYMMETRIC))}")
    return name


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not an http(s) URL without query and fragment")
    return url.rstrip("/")


def _known_algorithms(names: frozenset[str]) -> frozenset[str]:
    if not names or not names <= ALGORITHMS.keys():
        raise ValueError("not a set of known algorithm names")
    return names


SigningAlgorithm = Annotated[str, AfterValidator(_signing_algorithm)]
BackendName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
IssuerName = Annotated[str, Field(pattern=ISSUER_PATTERN)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Seconds = Annotated[float, Field(ge=0, le=400 * 86_400, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Leeway = Annotated[float, Field(ge=0, le=MAXIMUM_LEEWAY_S)]


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


class _FromEnvironment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SEALWRIGHT_", env_nested_delimiter="__", frozen=True, extra="ignore")

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read the environment; what is given wins. Raises ConfigurationError naming every wrong setting."""
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            problems = "; ".join(f"{_variable(fault['loc'])}: {fault['msg']}" for fault in error.errors())
            raise ConfigurationError(Reason.SETTINGS_INVALID, f"wrong settings: {problems}") from None
        except ValueError as error:  # a collection that is not JSON
            raise ConfigurationError(Reason.SETTINGS_INVALID, f"wrong settings: {error}") from None


class ServiceSettings(_FromEnvironment):
    """What ``sealwright up`` runs with."""

    home: Path = DEFAULT_HOME
    host: str = "127.0.0.1"
    port: Port = DEFAULT_PORT
    public_url: HttpUrl | None = None
    database_url: SecretStr | None = None
    kek: SecretStr | None = None
    kek_file: Path | None = None
    backends: dict[BackendName, SecretStr] = {}  # name -> URI; "local" is always there
    issuers: dict[IssuerName, SigningAlgorithm] = {DEFAULT_ISSUER: "ES256"}
    trusted_issuers: dict[str, HttpUrl] = {}  # foreign issuer -> its JWKS URL, for POST /v1/verify
    internal_algorithm: SigningAlgorithm = "ES256"
    operator_lifetime_s: float = Field(default=900, ge=4, le=900)
    signing_concurrency: dict[BackendName, Annotated[int, Field(ge=1, le=256)]] = {}  # 4 for each other, cores here
    signing_waiting: int = Field(default=1000, ge=1, le=100_000)
    signing_deadline_s: float = Field(default=2, ge=0.01, le=60)
    delegated_lifetime_s: dict[IssuerName, Annotated[float, Field(ge=60, le=30 * 86_400)]] = {}
    timings: Timings = Timings()

    def at_url(self) -> str:
        """The base of every issuer's ``iss``, without a trailing slash."""
        return self.public_url or f"http://{self.host}:{self.port}"

    def issuer_url(self, name: str) -> str:
        """The "iss" of an issuer's tokens, and the base of its well-known pages."""
        return f"{self.at_url()}/issuers/{name}"


class VerifierSettings(_FromEnvironment):
    """What ``sealwright-verifier`` runs with."""

    model_config = SettingsConfigDict(env_prefix="SEALWRIGHT_VERIFIER_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: Port = 8701
    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_url: HttpUrl
    algorithms: Annotated[frozenset[str], AfterValidator(_known_algorithms)] = ASYMMETRIC
    typ: str | None = None
    leeway_s: Leeway = 60


def _variable(location: tuple[int | str, ...]) -> str:
    return "__".join(str(part) for part in location).upper()
