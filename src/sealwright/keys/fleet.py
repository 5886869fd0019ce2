"""The fleet: which verifiers there are, and what each of them last said that it holds, accepts and refuses. Pure.

All times are seconds since the epoch by the clock of the key service, when it learned of something: a verifier whose
clock is wrong cannot make itself look better.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sealwright.statements.verifier_reports import IssuerReport, VerifierReport

MOST_UNPUBLISHED, LONGEST_KID = 16, 100  # of the keys of one issuer in a report; characters
Number = tuple[str, str]  # the name of a verifier and of one of its processes


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key that a verifier would accept: since when, and when it first and last accepted a token of it."""

    held_at: float
    first_accepted_at: float | None = None
    accepted_at: float | None = None


@dataclass(frozen=True, slots=True)
class Enforced:
    """What a verifier enforces of one issuer: the feed's sequence, when it fetched feed and keys, and its keys."""

    sequence: int | None
    feed_at: float | None
    keys_at: float | None
    keys: Mapping[str, HeldKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a verifier decided over a trial, and when that was first known."""

    outcome: str
    reason: str | None
    at: float

    @property
    def refused_key(self) -> bool:
        """The key itself was refused: a token that fails for its type or its times proves nothing about its key."""
        return self.outcome == "rejected" and str(self.reason).startswith("key.")


@dataclass(frozen=True, slots=True)
class Member:
    """One process of one verifier. ``issuers`` has our names of issuers, ``tried`` the ids of trials."""

    name: str
    instance: str
    first_seen_at: float
    last_seen_at: float
    issuers: Mapping[str, Enforced] = field(default_factory=dict)
    tried: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def number(self) -> Number:
        return self.name, self.instance

    def __str__(self) -> str:
        return f"{self.name[:60]}/{self.instance[:60]}"

    def holds(self, issuer: str, key_id: str | None) -> bool:
        return issuer in self.issuers and key_id in self.issuers[issuer].keys

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def member_of(report: VerifierReport, now: float, name_of: Callable[[str], str | None]) -> Member:
    """What one report says; ``name_of`` answers None for an issuer that is not ours."""
    issuers = {name: _enforced(one, now) for url, one in report.issuers.items() if (name := name_of(url)) is not None}
    tried = {key: Outcome(one.outcome, one.reason, now) for key, one in report.tried.items()}
    return Member(report.name, report.instance, now, now, issuers, tried)


def bounded(member: Member, published: Mapping[str, Collection[str]]) -> Member:
    """Without what a report could be filled up with: of the kids that are not published, which may be new to us or kept
    too long, there are a few of some length. ``published`` has the kids of each issuer.
    """
    issuers = {name: _with_few(one, published.get(name, ())) for name, one in member.issuers.items()}
    return replace(member, issuers=issuers)


def merged(earlier: Member | None, later: Member, trials: int = 32) -> Member:
    """Both reports of one process as one: what was known first stays, what is newest counts.

    The order in which reports arrive does not matter, since replicas write what they heard at their own pace.
    """
    if earlier is None:
        return later
    if earlier.last_seen_at > later.last_seen_at:
        earlier, later = later, earlier
    issuers = {name: _followed(earlier.issuers.get(name), one) for name, one in later.issuers.items()}
    tried = {**earlier.tried, **later.tried}
    tried |= {key: _first(earlier.tried[key], tried[key]) for key in earlier.tried}
    newest = sorted(tried.items(), key=lambda item: item[1].at, reverse=True)[:trials]
    first = min(earlier.first_seen_at, later.first_seen_at)
    return replace(later, first_seen_at=first, issuers=issuers, tried=dict(newest))


def member_from(row: Mapping[str, Any]) -> Member:
    """What ``Member.to_dict`` made."""
    issuers = {name: _stored(one) for name, one in row["issuers"].items()}
    tried = {key: Outcome(**one) for key, one in row["tried"].items()}
    return Member(**{**row, "issuers": issuers, "tried": tried})


def live(members: Iterable[Member], since: float, issuer: str | None = None) -> list[Member]:
    """Those that were heard of since then, and verify tokens of this issuer."""
    return [one for one in members if one.last_seen_at >= since and (issuer is None or issuer in one.issuers)]


def lacking(members: Iterable[Member], issuer: str, key_id: str | None) -> list[Member]:
    """Those that do not hold a key."""
    return [one for one in members if not one.holds(issuer, key_id)]


def last_accepted_at(members: Iterable[Member], issuer: str, key_id: str | None) -> float | None:
    """When any of them last accepted a token of a key."""
    held = (one.issuers[issuer].keys[str(key_id)] for one in members if one.holds(issuer, key_id))
    return max((key.accepted_at for key in held if key.accepted_at is not None), default=None)


def _enforced(report: IssuerReport, now: float) -> Enforced:
    def ago(age_s: float | None) -> float | None:
        return None if age_s is None else now - age_s

    def held(at: float | None) -> HeldKey:
        accepted = None if at is None else min(at, now)
        return HeldKey(now, accepted, accepted)

    keys = {key_id: held(at) for key_id, at in report.keys.items()}
    return Enforced(report.sequence, ago(report.feed_age_s), ago(report.keys_age_s), keys)


def _with_few(seen: Enforced, published: Collection[str]) -> Enforced:
    others = [key_id for key_id in seen.keys if key_id not in published and len(key_id) <= LONGEST_KID]
    kept = {*published, *others[:MOST_UNPUBLISHED]}
    return replace(seen, keys={key_id: key for key_id, key in seen.keys.items() if key_id in kept})


def _followed(earlier: Enforced | None, later: Enforced) -> Enforced:
    known = {} if earlier is None else earlier.keys
    return replace(later, keys={key_id: _kept(known.get(key_id), key) for key_id, key in later.keys.items()})


def _kept(earlier: HeldKey | None, later: HeldKey) -> HeldKey:
    if earlier is None:
        return later
    firsts = [at for at in (earlier.first_accepted_at, later.first_accepted_at) if at is not None]
    lasts = [at for at in (earlier.accepted_at, later.accepted_at) if at is not None]
    first, last = min(firsts, default=None), max(lasts, default=None)
    return HeldKey(min(earlier.held_at, later.held_at), first, last)


def _first(earlier: Outcome, later: Outcome) -> Outcome:
    """Since when it is as it is now; a key that was refused once stays refused."""
    if earlier.refused_key and later.refused_key:
        return earlier if earlier.at <= later.at else later
    if earlier.refused_key != later.refused_key:
        return earlier if earlier.refused_key else later
    return earlier if (earlier.outcome, earlier.reason) == (later.outcome, later.reason) else later


def _stored(row: Mapping[str, Any]) -> Enforced:
    return Enforced(**{**row, "keys": {key_id: HeldKey(**key) for key_id, key in row["keys"].items()}})
