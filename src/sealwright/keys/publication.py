"""Which public keys the world should see now, and which it must refuse. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.record import IN_JWKS, KeyRecord
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings

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


def max_age_s(timings: KeyTimings) -> int:
    """How long others may keep the set, in whole seconds."""
    return int(timings.jwks_max_age_s)
