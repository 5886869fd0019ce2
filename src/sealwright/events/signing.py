"""What happened on the signing side. Durations and ages in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sealwright.errors import Reason


@dataclass(frozen=True, slots=True)
class TokenSigned:
    issuer: str
    algorithm: str
    key_id: str
    duration_s: float
    reason: Reason | None = None  # why it failed; None when the token was released
    backend: str = "unknown"  # the name of the key's backend, as its record has it
    signatures: int = 1  # of a batch, which is signed or refused as a whole


@dataclass(frozen=True, slots=True)
class SigningWaited:
    """A request for signatures left the queue of its backend, or was turned away."""

    backend: str
    duration_s: float
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class KeyMoved:
    issuer: str
    algorithm: str
    key_id: str
    before: str | None
    after: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class TokenStatusChanged:
    """One token of ours was revoked, suspended or restored."""

    issuer: str
    status: str  # valid, revoked or suspended


@dataclass(frozen=True, slots=True)
class TokenRequested:
    """An OAuth client, or somebody who said so, asked for a token."""

    issuer: str
    grant: str  # client_credentials, token_exchange, or unknown before there was one
    outcome: str  # issued, or the error code of RFC 6749


@dataclass(frozen=True, slots=True)
class CertificateLoaded:
    """A listener serves the certificate that its files hold now; with a reason it still serves the one before."""

    fingerprint: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class BreakGlassUsed:
    """An emergency that was not approved by anybody: somebody should look at it."""

    issuer: str
    actor: str
    reason: str


BackendCall = Literal["generate", "find", "sign", "disable", "enable", "destroy", "handles", "adopt", "import"]


@dataclass(frozen=True, slots=True)
class BackendCalled:
    backend: str
    call: BackendCall
    duration_s: float
    reason: Reason | None = None


# elsewhere: another process has the turn. starting, clock_jumped: the next tick must confirm the clock first.
TickOutcome = Literal["done", "failed", "elsewhere", "starting", "clock_jumped"]


@dataclass(frozen=True, slots=True)
class SchedulerTicked:
    outcome: TickOutcome
    duration_s: float
    reason: Reason | None = None  # why the whole tick failed; single steps have events of their own


@dataclass(frozen=True, slots=True)
class ScheduledStepFailed:
    step: str  # the kind of the move, the name of the chore, or "delegation"
    issuer: str  # "" for a chore
    key_id: str | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class BackendChecked:
    backend: str
    reason: Reason | None  # why it cannot sign; None when it can


@dataclass(frozen=True, slots=True)
class FleetCounted:
    """The verifiers of one issuer that report. Seconds until the last of them held its newest key, and until the last
    of them refused the key that was revoked last; until now where one is still missing, None where nothing is known.
    """

    issuer: str
    live: int
    behind: int  # of the live ones
    lost: int
    rotation_lag_s: float | None = None
    enforcement_s: float | None = None


@dataclass(frozen=True, slots=True)
class OrphansCounted:
    backend: str
    unknown: int  # keys that no record knows
    missing: int  # records whose key is gone
