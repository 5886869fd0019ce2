"""What the world may know of keys that are not published any more, or are no token keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.record import IN_JWKS, KeyRecord
from sealwright.keys.states import KeyState
from sealwright.statements.historical_keys import HistoricalKey
from sealwright.statements.revoked_keys import RevocationReason, RevokedKey

MOST_REVOKED = 40  # in a bundle, which is bounded: whoever is not in it is not accepted either


def trust_root_keys(records: Iterable[KeyRecord]) -> JWKSet:
    """The keys that verifiers pin: they sign the feed, the archive and the checkpoints of the audit."""
    return JWKSet(record.public_key() for record in records if record.purpose == "trust-root" and record.published)


def revoked_keys(records: Iterable[KeyRecord], issuer: str) -> list[RevokedKey]:
    """Every key of an issuer that was ever revoked, oldest first. Why, in words, stays in the audit."""
    revoked = [record for record in records if record.issuer == issuer and record.state is KeyState.REVOKED]
    revoked = [record for record in revoked if record.key_id is not None and record.purpose in IN_JWKS]
    return [_revoked(record) for record in sorted(revoked, key=lambda record: record.revoked_at or 0.0)]


def bundled_keys(records: Iterable[KeyRecord], issuer: str) -> list[dict[str, Any]]:
    """The members of every published key of an issuer, and of the keys that were revoked last, marked as such."""
    mine = [record for record in records if record.issuer == issuer and record.purpose in IN_JWKS and record.key_id]
    shown = [{**r.public_key().to_dict(), "iat": int(r.published_at or r.created_at)} for r in mine if r.published]
    gone = sorted((r for r in mine if r.state is KeyState.REVOKED and r.public), key=lambda r: -(r.revoked_at or 0.0))
    for record in gone[:MOST_REVOKED]:
        key = _revoked(record)
        marked = {"revoked_at": int(key.revoked_at), "reason": key.reason}
        shown.append({**record.public_key().to_dict(), "revoked": marked})
    return shown


def archived_keys(records: Iterable[KeyRecord], issuer: str) -> list[HistoricalKey]:
    """Keys of an issuer that have signed and are not published, oldest first."""
    signed = [record for record in records if record.issuer == issuer and record.activated_at is not None]
    gone = [record for record in signed if not record.published and record.purpose in IN_JWKS]
    return [_historical(record) for record in sorted(gone, key=lambda record: record.activated_at or 0.0)]


def _historical(record: KeyRecord) -> HistoricalKey:
    ends = (record.verify_only_at, record.revoked_at, record.retired_at)
    until = min(end for end in ends if end is not None)
    revoked = _revoked(record) if record.state is KeyState.REVOKED else None
    return HistoricalKey(record.public_key().to_dict(), record.activated_at or 0.0, until, revoked)


def _revoked(record: KeyRecord) -> RevokedKey:
    """A key that has signed is taken for leaked; verifiers refuse it in either case."""
    reason: RevocationReason = "unspecified" if record.activated_at is None else "compromised"
    return RevokedKey(str(record.key_id), record.revoked_at or 0.0, reason)
