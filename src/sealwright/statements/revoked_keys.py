"""The feed of revoked keys: what of an issuer must be refused, as of a sequence and for a short time. Pure.

Kids, and single tokens that were revoked before their time, which are named by a digest of their "jti" until they
would have expired anyway. A JWT of type ``revoked-keys+jwt``, signed by the trust root and never by a key that signs
tokens: whoever stole one of those must not be able to forge an un-revocation. Verifiers keep the largest sequence
that they have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url

TYP = "revoked-keys+jwt"
LIFETIME_S = 300.0  # a feed that is older leaves a verifier undecided

RevocationReason = Literal["unspecified", "compromised"]  # OpenID Federation 1.0 §8.7.3; both mean: refuse


@dataclass(frozen=True, slots=True)
class RevokedKey:
    """One kid; ``revoked_at`` in seconds since the epoch."""

    key_id: str
    revoked_at: float
    reason: RevocationReason


@dataclass(frozen=True, slots=True)
class Feed:
    """What a feed says: of one issuer, as of a sequence. Times in seconds since the epoch."""

    issuer: str
    sequence: int
    revoked: tuple[RevokedKey, ...]
    tokens: frozenset[str] = frozenset()  # as ``token_digest`` has them
    issued_at: float = 0.0
    expires_at: float = 0.0


def token_digest(token_id: str) -> str:
    """What the feed calls a token: 128 bits of the SHA-256 of its "jti", as base64url."""
    digest = hashlib.sha256(token_id.encode("utf-8", "surrogatepass")).digest()[:16]
    return base64url.encode(digest).decode("ascii")


def parse_feed(claims: Mapping[str, Any]) -> Feed:
    """The feed in the claims of a verified statement. Raises RejectedError ``claims.malformed``."""
    try:
        shown = [RevokedKey(str(key["kid"]), float(key["revoked_at"]), key["reason"]) for key in claims["revoked"]]
        tokens = frozenset(str(digest) for digest in claims.get("tokens", ()))
        times = _number(claims["iat"]), _number(claims["exp"])
        return Feed(str(claims["iss"]), _whole(claims["seq"]), tuple(shown), tokens, *times)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RejectedError(Reason.CLAIMS_MALFORMED, "this is no feed of revoked keys") from error


def feed_claims(
    issuer: str, revoked: Iterable[RevokedKey], *, sequence: int, now: float, tokens: Iterable[str] = ()
) -> dict[str, Any]:
    """The claims of the feed of one issuer, whose "iss" is given; ``tokens`` are digests."""
    shown = [{"kid": key.key_id, "revoked_at": int(key.revoked_at), "reason": key.reason} for key in revoked]
    times = {"iat": int(now), "exp": int(now + LIFETIME_S)}
    return {"iss": issuer, "sub": issuer, **times, "seq": sequence, "revoked": shown, "tokens": sorted(tokens)}


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("a sequence is a whole number")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a time is a number of seconds")
    return float(value)
