"""Which public keys the world should see now, and which it must refuse. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.record import IN_JWKS, KeyRecord
from sealwright.keys.rotation import PlannedMove
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings

BEFORE_A_REMOVAL_S = 60.0
_ORDER = (KeyState.ACTIVE, KeyState.STANDBY, KeyState.VERIFY_ONLY)


def published_keys(records: Iterable[KeyRecord], issuer: str) -> JWKSet:
    """The set of one issuer: active, standby, verify_only. Built from PublicJWK, so nothing private can enter.

    The trust root is not in it: what verifiers obey must not verify as a token.
    """
    shown = [r for r in records if r.issuer == issuer and r.published and r.purpose in IN_JWKS]
    shown.sort(key=lambda record: (_ORDER.index(record.state), record.created_at))
    return JWKSet(record.public_key() for record in shown)


def revoked_key_ids(records: Iterable[KeyRecord], issuer: str) -> frozenset[str]:
    """Kids that verifiers must refuse whatever else they know."""
    revoked = (record for record in records if record.issuer == issuer and record.state is KeyState.REVOKED)
    return frozenset(record.key_id for record in revoked if record.key_id)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the published set of one issuer is going to change, and when it is going to lose keys."""

    changes: tuple[float, ...] = ()
    removals: tuple[float, ...] = ()


def schedule(planned: Iterable[PlannedMove], issuer: str) -> Schedule:
    """Of what ``rotation.scheduled`` says, the part that others will see; what is blocked is not going to happen."""
    mine = [one for one in planned if one.move.issuer == issuer and one.move.purpose == "token" and not one.blocked_by]
    changes = tuple(one.at for one in mine if one.adds or one.removes)
    return Schedule(changes, tuple(one.at for one in mine if one.removes))


def max_age_s(timings: KeyTimings, ahead: Schedule, now: float) -> int:
    """How long others may keep the set, in whole seconds: not past its next change, and shortly before a removal.

    A change that is overdue shortens nothing, or an outage of a backend would make every consumer ask every second; a
    removal that is overdue is still treated as near. 0 only where the timings say so.
    """
    longest_s = timings.jwks_max_age_s
    limits = [longest_s, *(at - now for at in ahead.changes if at > now)]
    if any(at - now <= 2 * longest_s for at in ahead.removals):
        limits.append(BEFORE_A_REMOVAL_S)
    return max(int(min(limits)), min(1, int(longest_s)))
