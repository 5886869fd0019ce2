"""What reports of verifiers add up to: who is behind, how keys spread (M6), how far a revocation got (M10). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sealwright.keys.fleet import Member, Outcome
from sealwright.keys.record import IN_JWKS, KeyRecord
from sealwright.keys.rehearsal import GivenTrial
from sealwright.keys.states import KeyState


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a verifier lacks, and since when: a key it should hold, one it should not, or the feed of revoked keys."""

    what: Literal["lacks", "still_holds", "feed"]
    key_id: str | None
    since: float


@dataclass(frozen=True, slots=True)
class Published:
    """The content of an issuer: since which sequence, and when, in seconds since the epoch, that was seen."""

    sequence: int
    at: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How a published key reaches the verifiers: from its publication until each one held it, and accepted with it.

    Only those that were there before its publication say how long that took; None while one of them lacks it.
    """

    record: KeyRecord
    holders: int
    of: int
    held_after_s: float | None
    accepted_after_s: float | None


@dataclass(frozen=True, slots=True)
class Enforcement:
    """How far a revocation got. ``enforced_at`` is the last refusal; None while somebody has not refused the canary."""

    issuer: str
    key_id: str
    commanded_at: float
    refusing: int
    of: int
    last_refusal_at: float | None
    waiting: Sequence[tuple[Member, Outcome | None]]

    @property
    def enforced_at(self) -> float | None:
        return self.last_refusal_at if self.of and self.refusing == self.of else None


def shortfalls(member: Member, issuer: str, records: Iterable[KeyRecord], published: Published) -> list[Shortfall]:
    """Of one verifier and the keys of one issuer, the longest first."""
    found = sorted(_shortfalls(member, issuer, records, published), key=lambda one: one.since)
    return [Shortfall(one.what, one.key_id, max(one.since, member.first_seen_at)) for one in found]


def spread(record: KeyRecord, live: Sequence[Member]) -> Spread:
    """Of one published key, among the live verifiers of its issuer."""
    held = [one.issuers[record.issuer].keys.get(str(record.key_id)) for one in live]
    published_at = record.published_at or 0.0
    before = [key for one, key in zip(live, held, strict=True) if one.first_seen_at <= published_at]
    known = [key for key in before if key is not None]
    times = [key.held_at - published_at for key in known]
    used = [key.first_accepted_at - published_at for key in known if key.first_accepted_at is not None]
    complete = bool(before) and len(known) == len(before)
    holders = sum(key is not None for key in held)
    return Spread(record, holders, len(live), max(times) if complete else None, max(used, default=None))


def rotation_lag_s(record: KeyRecord, live: Sequence[Member], now: float) -> float | None:
    """Until the last verifier held this key, or until now; None where none was there before it was published."""
    published_at = record.published_at or 0.0
    if not any(one.first_seen_at <= published_at for one in live):
        return None
    lag_s = spread(record, live).held_after_s
    return now - published_at if lag_s is None else lag_s


def enforcement(given: GivenTrial, live: Sequence[Member]) -> Enforcement:
    """Of the canary of a revoked key, among the live verifiers of its issuer."""
    outcomes = [(one, one.tried.get(given.trial_id)) for one in live]
    refusals = [outcome.at for _, outcome in outcomes if outcome is not None and outcome.refused_key]
    waiting = [(one, outcome) for one, outcome in outcomes if outcome is None or not outcome.refused_key]
    last = max(refusals, default=None)
    return Enforcement(given.issuer, given.key_id, given.began_at, len(refusals), len(live), last, waiting)


def _shortfalls(member: Member, issuer: str, records: Iterable[KeyRecord], published: Published) -> Iterator[Shortfall]:
    for record in records:
        if record.issuer != issuer or record.purpose not in IN_JWKS or record.key_id is None:
            continue
        holds = member.holds(issuer, record.key_id)
        if record.published and not holds:
            yield Shortfall("lacks", record.key_id, record.published_at or 0.0)
        elif holds and not record.published:
            ended_at = record.revoked_at if record.state is KeyState.REVOKED else record.retired_at
            yield Shortfall("still_holds", record.key_id, ended_at or 0.0)
    sequence = member.issuers[issuer].sequence
    if sequence is not None and sequence < published.sequence:
        yield Shortfall("feed", None, published.at)
