"""The trust bundle: the keys of an issuer in one signed document, for verifiers that are not always online. Pure.

A signed JWK Set (OpenID Federation 1.0: type ``jwk-set+jwt``) with the members of a SPIFFE bundle that order it. Unlike
the archive, which has the same type, it has a sequence and an end: a bundle that is held back stops counting. Without
keys it says that everything is revoked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose.jwk_set import JWKSet

TYP = "jwk-set+jwt"
LIFETIME_S = 86_400.0  # for how long a verifier may be offline
REFRESH_HINT_S = 300.0
_LARGEST = 2**63  # SPIFFE: a sequence has 64 bits


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """What a bundle says: of one issuer, as of a sequence. Times in seconds since the epoch."""

    issuer: str
    subject: str
    sequence: int
    keys: JWKSet
    issued_at: float
    expires_at: float
    refresh_hint_s: float


def parse_bundle(claims: Mapping[str, Any]) -> TrustBundle:
    """The bundle in the claims of a verified statement. Raises RejectedError ``statement.malformed``."""
    sequence, hint = claims.get("spiffe_sequence"), claims.get("spiffe_refresh_hint", REFRESH_HINT_S)
    issuer, subject = claims.get("iss"), claims.get("sub")
    if type(sequence) is not int or not 0 <= sequence < _LARGEST:
        raise _malformed("without a sequence it could be any age")
    if not isinstance(issuer, str) or not isinstance(subject, str):
        raise _malformed("it does not say whose it is")
    times = _time(claims.get("iat")), _time(claims.get("exp")), _time(hint)
    try:
        return TrustBundle(issuer, subject, sequence, JWKSet.from_dict(claims), *times)
    except RejectedError as error:
        raise _malformed(error.message) from error


def bundle_claims(issuer: str, keys: Iterable[Mapping[str, Any]], *, sequence: int, now: float) -> dict[str, Any]:
    """The claims of the bundle of one issuer, whose "iss" is given; ``keys`` are public members."""
    times = {"iat": int(now), "exp": int(now + LIFETIME_S)}
    order = {"spiffe_sequence": sequence, "spiffe_refresh_hint": int(REFRESH_HINT_S)}
    return {"iss": issuer, "sub": issuer, **times, **order, "keys": [dict(members) for members in keys]}


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise _malformed("a time is missing or is no number")
    return float(value)


def _malformed(message: str) -> RejectedError:
    return RejectedError(Reason.STATEMENT_MALFORMED, f"this is no trust bundle: {message}")
