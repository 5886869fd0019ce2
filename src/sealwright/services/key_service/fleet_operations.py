"""The fleet in JSON terms: who is behind and for how long, how keys spread, rehearsals, and how revocations held."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.keys.enforcements import Enforcements
from sealwright.keys.fleet import Member, Outcome, live
from sealwright.keys.fleet_report import Enforcement, Published, Shortfall, shortfalls, spread
from sealwright.keys.record import IN_JWKS, KeyRecord
from sealwright.keys.rehearsal import GivenTrial
from sealwright.services.key_service.times import written
from sealwright.wiring.single_process import SingleProcess

MOST_SHOWN = 1_000  # verifiers in one answer: those that are behind or lost come first
NO_ANSWER = "no_answer"


class FleetOperations:
    """Every method answers JSON-ready data."""

    def __init__(self, process: SingleProcess, actor: str) -> None:
        self._process = process
        self._lifecycle = process.signing.lifecycle
        self._fleet = process.signing.lifecycle.fleet
        self._enforcements = Enforcements(process.signing.catalog, self._fleet, process.clock)
        self._actor = actor

    def show(self, issuer: str | None = None, *, only: Collection[str] | None = None) -> dict[str, Any]:
        """Of one issuer or of all; ``only`` leaves out others. RejectedError ``request.not_found``."""
        names = [self._open(issuer)] if issuer is not None else list(self._process.publications.issuers())
        names = [name for name in names if only is None or name in only]
        members, records = self._fleet.members(), self._lifecycle.records()
        of_issuers = {name: [record for record in records if record.issuer == name] for name in names}
        lost = self._fleet.live_since()
        shown = [self._member(one, of_issuers, lost) for one in members if one.issuers.keys() & of_issuers]
        shown.sort(key=lambda one: ("behind", "lost", "live").index(one["status"]))
        issuers = {name: self._issuer(name, of_issuers[name], members, shown) for name in names}
        head = {"now": written(self._process.clock.now()), "lost_after_s": self._fleet.lost_after_s}
        left_out = max(0, len(shown) - MOST_SHOWN)
        return {**head, "issuers": issuers, "verifiers": shown[:MOST_SHOWN], "left_out": left_out}

    def rehearse(self, key_id: str, *, reason: str) -> dict[str, Any]:
        """Have every live verifier try a token of a standby key. Raises RefusedError ``move.*``."""
        record = self._lifecycle.find(key_id)
        return self._rehearsal(self._lifecycle.rehearsals.begin(record, actor=self._actor, reason=reason))

    def rehearsal(self, key_id: str) -> dict[str, Any]:
        """The latest one of this key. RejectedError ``request.not_found``."""
        given = self._lifecycle.rehearsals.latest(self._lifecycle.find(key_id).issuer)
        if given is None or given.key_id != key_id:
            raise RejectedError(Reason.REQUEST_NOT_FOUND, "it was not rehearsed, or another key of its issuer since")
        return self._rehearsal(given)

    def enforcement(self, key_id: str) -> dict[str, Any]:
        """How far the revocation of a leaked key got. RejectedError ``request.not_found`` without a canary."""
        found = self._enforcements.of(self._lifecycle.find(key_id))
        if found is None:
            message = "this key has no canary: it did not leak, or its backend did not sign one in time"
            raise RejectedError(Reason.REQUEST_NOT_FOUND, message)
        return self._enforcement(found)

    def _open(self, issuer: str) -> str:
        self._process.publications.issuer(issuer)
        return issuer

    def _member(self, member: Member, issuers: Mapping[str, Sequence[KeyRecord]], lost: float) -> dict[str, Any]:
        names = member.issuers.keys() & issuers.keys()
        behind = {name: shortfalls(member, name, issuers[name], self._published(name)) for name in sorted(names)}
        is_lost = member.last_seen_at < lost
        status = "lost" if is_lost else "behind" if any(behind.values()) else "live"
        head = {"name": member.name, "instance": member.instance, "status": status}
        times = {"first_seen_at": written(member.first_seen_at), "last_seen_at": written(member.last_seen_at)}
        silent_s = round(self._process.clock.now() - member.last_seen_at, 1)
        return {**head, **times, "silent_s": silent_s, "issuers": {n: self._held(member, n, behind[n]) for n in behind}}

    def _held(self, member: Member, issuer: str, behind: Sequence[Shortfall]) -> dict[str, Any]:
        seen, now = member.issuers[issuer], self._process.clock.now()
        keys = {key_id: _written(asdict(key)) for key_id, key in seen.keys.items()}
        lacking = [{**_written(asdict(one)), "for_s": round(now - one.since, 1)} for one in behind]
        ages = {"feed_at": seen.feed_at, "keys_at": seen.keys_at}
        return {"sequence": seen.sequence, **_written(ages), "keys": keys, "behind": lacking}

    def _issuer(
        self, name: str, records: Sequence[KeyRecord], members: Sequence[Member], shown: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        them = live(members, self._fleet.live_since(), name)
        mine = [one for one in shown if name in one["issuers"]]
        heard = [one for one in mine if one["status"] != "lost"]
        behind = sum(bool(one["issuers"][name]["behind"]) for one in heard)
        counts = {"live": len(heard), "behind": behind, "lost": len(mine) - len(heard)}
        published = [record for record in records if record.published and record.purpose in IN_JWKS]
        leaked = (self._enforcements.of(record, them) for record in records)
        revoked = [self._enforcement(found) for found in leaked if found is not None]
        given = self._lifecycle.rehearsals.latest(name)
        return {
            "sequence": self._published(name).sequence,
            **counts,
            "keys": [_spread(record, them) for record in published],
            "revocations": revoked,
            "rehearsal": None if given is None else self._rehearsal(given),
        }

    def _published(self, name: str) -> Published:
        keys, clock = self._process.publications.issuer(name), self._process.clock
        return Published(self._process.sequence(name), clock.now() - (clock.monotonic() - keys.changed_at))

    def _rehearsal(self, given: GivenTrial) -> dict[str, Any]:
        them = self._fleet.live(given.issuer)
        answers = [_answer(one, one.tried.get(given.trial_id)) for one in them]
        accepted = sum(one["outcome"] == "accepted" for one in answers)
        times = {"began_at": written(given.began_at), "ends_at": written(given.ends_at)}
        head = {"id": given.trial_id, "issuer": given.issuer, "key_id": given.key_id, **times}
        return {**head, "accepted": accepted, "of": len(them), "verifiers": answers}

    def _enforcement(self, found: Enforcement) -> dict[str, Any]:
        fact = self._enforcements.known().get(found.key_id)
        enforced_at = found.enforced_at if fact is None else fact.enforced_at
        head = {"issuer": found.issuer, "key_id": found.key_id, "commanded_at": written(found.commanded_at)}
        last = found.last_refusal_at
        after = {
            "enforced_at": None if enforced_at is None else written(enforced_at),
            "enforced_after_s": None if enforced_at is None else round(enforced_at - found.commanded_at, 3),
            "last_refusal_after_s": None if last is None else round(last - found.commanded_at, 3),
        }
        waiting = [_answer(one, outcome) for one, outcome in found.waiting]
        return {**head, "refusing": found.refusing, "of": found.of, **after, "waiting": waiting[:MOST_SHOWN]}


def _spread(record: KeyRecord, them: Sequence[Member]) -> dict[str, Any]:
    found = spread(record, them)
    head = {"key_id": record.key_id, "state": str(record.state), "published_at": written(record.published_at or 0.0)}
    times = {"held_after_s": found.held_after_s, "accepted_after_s": found.accepted_after_s}
    rounded = {name: None if value is None else round(value, 3) for name, value in times.items()}
    return {**head, "holders": found.holders, "of": found.of, **rounded}


def _answer(member: Member, outcome: Outcome | None) -> dict[str, Any]:
    head = {"name": member.name, "instance": member.instance}
    if outcome is None:
        return {**head, "outcome": NO_ANSWER, "reason": None}
    return {**head, "outcome": outcome.outcome, "reason": outcome.reason}


def _written(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Times as text; what is not known as null."""
    is_time = {name: name.endswith("_at") or name == "since" for name in facts}
    return {name: written(value) if is_time[name] and value is not None else value for name, value in facts.items()}
