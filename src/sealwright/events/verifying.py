"""What happened on the verifying side. Durations and ages in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sealwright.errors import Reason


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
    clock_offset_s: float | None = None  # how far its clock is ahead of ours, to about a second


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
class ConfigReloaded:
    """The file of a verifier that runs was read again: what it says is in force, or was refused and changed nothing."""

    outcome: Literal["done", "refused"]
    duration_s: float
    fault: str | None = None  # everything that is wrong with the file, each with its place
    needs_restart: tuple[str, ...] = ()  # settings that differ and stay as they were
    cannot_decide: tuple[str, ...] = ()  # required issuers over whose tokens nothing can be decided yet


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """One of several processes of a verifier ended while it should run; another takes its place."""

    worker: int
    exit_code: int | None  # below 0: the signal that ended it
