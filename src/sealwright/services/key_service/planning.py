"""What is going to happen to keys and what is amiss at their backends, in JSON terms."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sealwright.errors import Reason, RefusedError
from sealwright.keys.health import check_health
from sealwright.keys.orphans import BackendOrphans, find_orphans
from sealwright.keys.rotation import PlannedMove, plan
from sealwright.services.key_service.times import written
from sealwright.wiring.signing import SigningSide

LONGEST_PLAN_S = 400 * 86_400.0


def plan_of(signing: SigningSide, issuer: str | None, for_s: float) -> dict[str, Any]:
    """The planned moves of one issuer or of all. Raises RefusedError ``move.unknown_issuer``."""
    records, now = signing.lifecycle.records(issuer), signing.clock.now()
    if issuer is not None and not records:
        raise RefusedError(Reason.MOVE_UNKNOWN_ISSUER, "there is no such issuer; keys create makes one")
    until, facts = now + min(for_s, LONGEST_PLAN_S), signing.lifecycle.fleet.facts(records)
    moves = [_planned(one, now) for one in plan(records, signing.policies, now, until, facts)]
    return {"now": written(now), "until": written(until), "moves": moves}


def orphans_of(signing: SigningSide) -> dict[str, Any]:
    """Of every backend: keys that no record knows, and records whose key is gone."""
    return {"backends": [_orphans(found) for found in find_orphans(signing.catalog, signing.backends)]}


def health_of(signing: SigningSide) -> dict[str, Any]:
    """Whether each backend signs, tried now with an active key."""
    found = check_health(signing.catalog.records(), signing.backends)
    return {"backends": [asdict(one) for one in found]}


def _planned(one: PlannedMove, now: float) -> dict[str, Any]:
    move = one.move
    return {
        "at": written(one.at),
        "in_s": round(one.at - now),
        "issuer": move.issuer,
        "purpose": move.purpose,
        "algorithm": move.algorithm,
        "move": str(move.kind),
        "key_id": move.key_id,
        "waits_for": list(one.waits_for),
        "blocked_by": list(one.blocked_by),
    }


def _orphans(found: BackendOrphans) -> dict[str, Any]:
    missing = [
        {"key_id": record.key_id, "handle": record.handle, "issuer": record.issuer, "state": str(record.state)}
        for record in found.missing
    ]
    return {"backend": found.backend, "failed": found.failed, "unknown": list(found.unknown), "missing": missing}
