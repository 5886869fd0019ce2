"""The few facts worth observing, and the Observer protocol.

An event is past tense, complete when it is emitted, and free of token text and secrets.
Durations are in seconds. Issuer names come from configuration, never from a token.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol

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
class TokenDecided:
    issuer: str  # the configured issuer that matched, or "unknown"
    algorithm: str  # the alg of the key that verified it, or "unknown"
    key_id: str | None  # a key that was found; never an id that only the token claimed
    outcome: Literal["accepted", "rejected", "undecided"]
    reason: Reason | None
    duration_s: float


# first: accepted. failed_open: accepted though the store could not be asked. failed_closed: undecided for that reason.
ReplayOutcome = Literal["first", "seen", "failed_open", "failed_closed"]


@dataclass(frozen=True, slots=True)
class ReplayClaimed:
    """A token that passed everything else was looked up among those presented before."""

    issuer: str
    outcome: ReplayOutcome
    duration_s: float
    reason: Reason | None = None  # why the store did not answer


@dataclass(frozen=True, slots=True)
class KeySourceRefreshed:
    source: str  # the configured URL
    cause: Literal["cold", "ahead", "expired", "unknown_kid", "asked"]
    outcome: Literal["changed", "unchanged", "failed"]
    keys: int
    unusable: int
    duration_s: float
    reason: Reason | None = None
    url: str | None = None  # the address that gave the keys which are held: the source itself, or a mirror


FileUse = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class KeyFileFailed:
    """The file of a source's last good keys was ignored, or could not be written; the source goes on without it."""

    source: str  # the configured URL
    use: FileUse
    reason: Reason


StatementKind = Literal["revoked-keys", "trust-bundle"]


@dataclass(frozen=True, slots=True)
class StatementRefreshed:
    """A signed statement was fetched and obeyed; with a reason, what was held before still counts, for its time."""

    kind: StatementKind
    issuer: str
    outcome: Literal["changed", "unchanged", "failed"]
    sequence: int | None
    keys: int | None  # revoked ones that are remembered, or those of the bundle
    duration_s: float
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class StaleFeedIgnored:
    """The feed of an issuer is too old, and its policy said to decide without it. Once for each such time."""

    issuer: str


@dataclass(frozen=True, slots=True)
class EventsPolled:
    """One poll for security events ended: how many were good, and how many were refused."""

    outcome: Literal["answered", "failed"]
    events: int
    refused: int
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


StatusCheckName = Literal["status_list", "introspection"]


@dataclass(frozen=True, slots=True)
class TokenStatusAsked:
    """A verifier asked others about a token: a status list was fetched, or a token introspected."""

    check: StatusCheckName
    issuer: str  # the configured name
    duration_s: float
    reason: Reason | None = None  # why no answer came of it


@dataclass(frozen=True, slots=True)
class TokenStatusChecked:
    """What a verifier made of the status of one token."""

    check: StatusCheckName
    issuer: str
    outcome: Literal["valid", "revoked", "suspended", "inactive", "undecided", "let_through"]
    cached: bool
    age_s: float | None  # of the answer; None without one


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


Event = (
    TokenSigned
    | TokenDecided
    | ReplayClaimed
    | KeySourceRefreshed
    | KeyFileFailed
    | StatementRefreshed
    | StaleFeedIgnored
    | EventsPolled
    | KeyMoved
    | TokenStatusChanged
    | TokenStatusAsked
    | TokenStatusChecked
    | CertificateLoaded
    | BreakGlassUsed
    | BackendCalled
    | SigningWaited
    | SchedulerTicked
    | ScheduledStepFailed
    | FleetCounted
    | OrphansCounted
    | BackendChecked
)


class Observer(Protocol):
    """Receives events. Must not block and must not raise; ``telemetry.fan_out`` contains one that does raise."""

    def observe(self, event: Event) -> None: ...


def tell(observer: Observer | None, event: Event) -> None:
    """Hand over one event; whatever the observer does with it, the caller goes on."""
    if observer is not None:
        with suppress(Exception):
            observer.observe(event)
