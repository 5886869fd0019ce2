"""The tables of sealwright.toml, as pydantic models; docs/sealwright.schema.json is made from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sealwright.config.fields import (
    BackendName,
    CredentialDuration,
    Duration,
    HttpUrl,
    IssuerName,
    LeewayDuration,
    Port,
    PublishedKeys,
    SigningAlgorithm,
    TokenDuration,
)

Approved = Literal["force", "destroy", "emergency", "revoke", "restore"]  # keys.policy has it too; a sidecar loads this
Approvers = Annotated[int, Field(ge=0, le=10)]
Words = Annotated[str, Field(max_length=200)]
TIMES = frozenset(
    {"jwks_max_age", "worst_consumer_cache", "longest_token", "leeway", "replication"}
    | {"verify_window", "restorable", "rotation_period", "pending", "published_keys"}
)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServiceTable(_Table):
    """Where the service listens, how others reach it, and where it keeps things."""

    home: Path | None = Field(default=None, description="The data folder; paths are relative to this file.")
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: Port = Field(default=8700, description="The port; 0 takes a free one.")
    public_url: HttpUrl | None = Field(
        default=None, description="How others reach the service; every iss begins with it."
    )
    database_url_file: Path | None = Field(default=None, description="A file with the URL of the database.")
    kek_file: Path | None = Field(default=None, description="A file with the key-encryption key of the backend local.")
    internal_algorithm: SigningAlgorithm = Field(default="ES256", description="The algorithm of operator credentials.")
    internal_backend: BackendName = Field(
        default="local", description="Where the keys of credentials and the trust root are made."
    )
    keys_folder: Path | None = Field(default=None, description="Where the backend local keeps its sealed keys.")
    operator_lifetime: CredentialDuration = Field(default=900, description="The life of the operator credential.")
    strict: bool = Field(default=False, description="Whatever config check would warn of is an error.")


class TimingsTable(_Table):
    """How long a key stays in each state, for every issuer that does not say otherwise; see docs/lifecycle.md."""

    jwks_max_age: Duration = Field(default=300, description="The max-age of the JWKS page.")
    worst_consumer_cache: Duration = Field(default=1200, description="The longest that any consumer keeps a JWKS.")
    longest_token: TokenDuration = Field(default=900, description="The longest lifetime of a token.")
    leeway: LeewayDuration = Field(default=60, description="The clock difference that verification allows for.")
    replication: Duration = Field(default=60, description="How long a change takes to reach every edge.")
    verify_window: Duration = Field(
        default=86_400, description="The shortest time in verify_only; 0: as its tokens need."
    )
    restorable: Duration = Field(default=30 * 86_400, description="How long a retirement can be undone.")
    rotation_period: Duration = Field(
        default=30 * 86_400, description="How long a key signs; 0 leaves rotation to people."
    )
    pending: Duration = Field(default=48 * 3600, description="After how long a key that nobody published is withdrawn.")
    published_keys: PublishedKeys = Field(default=20, description="The most keys that one issuer publishes.")


class BackendTable(_Table):
    """Where private keys live. A secret is never in the URI: its option names a file."""

    uri: str = Field(description="Such as pkcs11:token=prod?pin=file:/run/secrets/pin.")
    concurrency: int | None = Field(default=None, ge=1, le=1024, description="The most calls to sign at one time.")


class IssuerTable(_Table):
    """The policy of one issuer. A time that it leaves out is that of the table timings."""

    algorithm: SigningAlgorithm = Field(description="What its keys sign with; changed by a roll-out only.")
    backend: BackendName = Field(default="local", description="Where its new keys are made.")
    owner: Words = Field(default="", description="The team that answers for it.")
    pager: Words = Field(default="", description="Whom an alert calls.")
    runbook: HttpUrl | Literal[""] = Field(default="", description="What to read when an alert calls.")
    approvals: dict[Approved, Approvers] = Field(
        default={}, description="How many other people must approve of an action."
    )
    delegated_lifetime: Duration = Field(
        default=0, description="How long each software key signs that its key vouches for; 0: none."
    )
    delegated_x5c: bool = Field(
        default=False, description="Give each of these keys a certificate of the key that vouches for it (x5c)."
    )
    jwks_max_age: Duration | None = None
    worst_consumer_cache: Duration | None = None
    longest_token: TokenDuration | None = None
    leeway: LeewayDuration | None = None
    replication: Duration | None = None
    verify_window: Duration | None = None
    restorable: Duration | None = None
    rotation_period: Duration | None = None
    pending: Duration | None = None
    published_keys: PublishedKeys | None = None

    def times(self) -> dict[str, float]:
        """The times that it sets itself, by the names of settings."""
        return times_of({name: value for name, value in self if name in TIMES and value is not None})


class ConfigFile(_Table):
    """A whole sealwright.toml. Secrets are never in it."""

    service: ServiceTable = ServiceTable()
    timings: TimingsTable = TimingsTable()
    backends: dict[BackendName, BackendTable] = {}
    issuers: dict[IssuerName, IssuerTable] = {}
    trusted_issuers: dict[str, HttpUrl] = {}


def times_of(table: Mapping[str, Any]) -> dict[str, float]:
    """Durations of the file by the names that settings have for them."""
    names = {"verify_window": "verify_window_floor_s", "published_keys": "published_keys"}
    return {names.get(name, f"{name}_s"): value for name, value in table.items()}


def settings_of(file: ConfigFile, folder: Path) -> dict[str, Any]:
    """What the file says, in the terms of ServiceSettings; relative paths are below ``folder``."""
    service = file.service.model_dump(exclude_unset=True, exclude={"strict"})
    if "operator_lifetime" in service:
        service["operator_lifetime_s"] = service.pop("operator_lifetime")
    paths = {name: folder / path for name, path in service.items() if isinstance(path, Path)}
    tables = file.model_dump(exclude_unset=True, include={"backends", "issuers", "trusted_issuers"})
    return {**tables, **service, **paths, "timings": times_of(file.timings.model_dump(exclude_unset=True))}
