"""What the members of a JWK allow: its kind, its uses and its one algorithm (RFC 7517 §4)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url, strict_json
from sealwright.jose.algorithms import ALGORITHMS, Algorithm, algorithm
from sealwright.jose.key_types import KEY_TYPES, KeyType

_CERTIFICATE_MEMBERS = frozenset({"x5c", "x5t", "x5t#S256"})
_TEXT_MEMBERS = ("kty", "crv", "alg", "kid", "use", "x5u")
# What the public half of a private key keeps beside its numbers: nobody knows what an unknown member is for.
PUBLISHED = frozenset(["use", "alg", "kid", "x5u", "x5c", "x5t", "x5t#S256", "iat", "nbf", "exp", "revoked"])
_TIME_MEMBERS = ("exp", "nbf", "iat")
_LIMITING = ("exp", "nbf", "revoked")


def check_asymmetric(members: Mapping[str, Any], operations: set[str]) -> KeyType:
    check_text(members)
    if members.get("kty") == "oct":
        raise RejectedError(Reason.KEY_NOT_PUBLIC, "an HMAC secret is read with SecretJWK, and is never public")
    kind = KEY_TYPES.get(members.get("kty", ""))
    if kind is None:
        raise RejectedError(Reason.KEY_UNSUPPORTED, "the key type is not one that this package knows")
    if kind.curve_member and members.get(kind.curve_member) not in kind.curves:
        raise RejectedError(Reason.KEY_UNSUPPORTED, "the curve is not one that this package knows")
    check_use(members, operations)
    check_times(members)
    if not _CERTIFICATE_MEMBERS.isdisjoint(members):
        from sealwright.jose.certificates import check_certificate_members  # slow to import, and few keys have any

        check_certificate_members(members, kind)
    return kind


def check_text(members: Mapping[str, Any]) -> None:
    for name in _TEXT_MEMBERS:
        if name in members and not isinstance(members[name], str):
            raise RejectedError(Reason.KEY_MALFORMED, f'the key member "{name}" is not text')


def check_use(members: Mapping[str, Any], operations: set[str]) -> None:
    """RFC 7517 §4.2, §4.3: "use" and "key_ops" must both allow signatures, and agree."""
    listed = members.get("key_ops", ["verify", "sign"])
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise RejectedError(Reason.KEY_MALFORMED, 'the key member "key_ops" is not a list of texts')
    if members.get("use", "sig") != "sig" or not operations & set(listed) or set(listed) - {"sign", "verify"}:
        raise RejectedError(Reason.KEY_UNSUITABLE, 'the key\'s "use" or "key_ops" does not allow this')


def check_times(members: Mapping[str, Any]) -> None:
    """As OpenID Federation has them: "exp", "nbf" and "iat" are times, and "revoked" holds one, "revoked_at"."""
    revoked = members.get("revoked", {"revoked_at": 0})
    if not isinstance(revoked, dict) or not _is_time(revoked.get("revoked_at")):
        raise RejectedError(Reason.KEY_MALFORMED, 'the key member "revoked" is not an object with a time "revoked_at"')
    for name in _TIME_MEMBERS:
        if name in members and not _is_time(members[name]):
            raise RejectedError(Reason.KEY_MALFORMED, f'the key member "{name}" is not a time')


def limits_of(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members by which time or a revocation can end the use of the key."""
    return {name: members[name] for name in _LIMITING if name in members}


def check_usable(members: Mapping[str, Any], now: float) -> None:
    """Raises RejectedError ``key.revoked``, ``key.expired`` or ``key.not_yet_valid``; a key has no leeway."""
    if "revoked" in members:
        # Whenever it was: who stole the key can date a token back.
        raise RejectedError(Reason.KEY_REVOKED, "the key has been revoked by its owner")
    if "exp" in members and now >= members["exp"]:
        raise RejectedError(Reason.KEY_EXPIRED, "the key has expired")
    if "nbf" in members and now < members["nbf"]:
        raise RejectedError(Reason.KEY_NOT_YET_VALID, "the key is not valid yet")


def thumbprint(members: Mapping[str, Any]) -> str:
    """RFC 7638 with SHA-256, base64url."""
    required = {name: members[name] for name in sorted((*KEY_TYPES[members["kty"]].thumbprint, "kty"))}
    return base64url.encode_text(hashlib.sha256(strict_json.encode_object(required)).digest())


def _is_time(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def row_of(members: Mapping[str, Any], kind: KeyType) -> Algorithm | None:
    if "alg" in members:
        row = algorithm(members["alg"])
        if not row.fits(kind.kty, curve_of(members)):
            raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, 'the key\'s "alg" does not fit its type or curve')
        return row
    rows = [row for row in ALGORITHMS.values() if row.fits(kind.kty, curve_of(members))]
    exact = [row for row in rows if row.name == curve_of(members)]  # Ed25519 and Ed448 over their older shared name
    candidates = exact or rows
    return candidates[0] if len(candidates) == 1 else None


def curve_of(members: Mapping[str, Any]) -> str | None:
    member = KEY_TYPES[members["kty"]].curve_member
    return members.get(member) if member else None
