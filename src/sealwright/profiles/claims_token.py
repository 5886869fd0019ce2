"""Claims tokens: a JWT with issuer, audience, times and an id that the caller cannot contradict (RFC 7519)."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.claims import audience_of, check_types
from sealwright.jose.signing import Signer, sign

LATEST_TIME = 253_402_300_799  # the end of the year 9999; many readers of dates break beyond
_FIXED = frozenset({"iss", "aud", "iat", "exp"})


def sign_claims(
    claims: Mapping[str, Any],
    signer: Signer,
    *,
    issuer: str,
    audience: str | Sequence[str],
    lifetime_s: float,
    typ: str = "JWT",
    clock: Clock = SYSTEM_CLOCK,
) -> str:
    """A signed JWT; adds iss, aud, iat, exp and, unless given, a random jti. Raises as ``claims_payload`` does.

    >>> from sealwright.jose.jwk import PrivateJWK
    >>> key = PrivateJWK.generate("Ed25519")
    >>> token = sign_claims({"sub": "alice"}, key, issuer="https://id.example", audience="orders", lifetime_s=900)
    >>> token.count(".")
    2
    """
    payload = claims_payload(claims, issuer=issuer, audience=audience, lifetime_s=lifetime_s, now=clock.now())
    return sign(payload, signer, typ=typ)


def claims_payload(
    claims: Mapping[str, Any],
    *,
    issuer: str,
    audience: str | Sequence[str],
    lifetime_s: float,
    now: float,
    token_id: str | None = None,
) -> bytes:
    """The payload of a claims token. ``now`` in seconds since the epoch, ``lifetime_s`` one second or more.

    iat and exp are whole seconds, rounded so that the token lives no longer than asked. Raises RejectedError
    ``claims.malformed`` for claims that contradict the arguments, ``claims.wrong_type``, ``claims.lifetime``, and
    ``json.*`` for what cannot be written so that every reader reads the same.
    """
    if type(claims) is not dict:
        claims = _plain_dict(claims)
    issued, expires = math.floor(now), _expiry(now, lifetime_s)
    # Hardly ever more than a few pairs in a process: their text is made once.
    pair = _parties(issuer, audience) if type(issuer) is type(audience) is str else _encode_parties(issuer, audience)
    check_types(claims)
    if not _FIXED.isdisjoint(claims):
        claims = _without_fixed(claims, strict_json.parse_object(b"{%b}" % pair) | {"iat": issued, "exp": expires})
    if "jti" not in claims:
        claims = {"jti": new_token_id() if token_id is None else token_id, **claims}
    return b'%b,%b,"iat":%d,"exp":%d}' % (strict_json.encode_object(claims)[:-1], pair, issued, expires)


def new_token_id() -> str:
    """A random "jti" of 128 bits."""
    return os.urandom(16).hex()


def _plain_dict(claims: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(claims, Mapping):
        raise RejectedError(Reason.CLAIMS_MALFORMED, "claims are an object whose names are text")
    return dict(claims)


def _expiry(now: float, lifetime_s: float) -> int:
    """Less than a second would be none at all in whole seconds; the comparison is False for NaN as well."""
    number = type(lifetime_s) is int or (isinstance(lifetime_s, int | float) and not isinstance(lifetime_s, bool))
    if not number or not 1 <= lifetime_s <= LATEST_TIME:
        raise RejectedError(Reason.CLAIMS_LIFETIME, "a lifetime is a finite number of seconds, one or more")
    expires = math.floor(now) + math.floor(lifetime_s)
    if expires > LATEST_TIME:
        raise RejectedError(Reason.CLAIMS_LIFETIME, "the token would live beyond the year 9999")
    return expires


def _encode_parties(issuer: str, audience: str | Sequence[str]) -> bytes:
    aud = list(audience) if isinstance(audience, Sequence) and not isinstance(audience, str) else audience
    parties = {"iss": issuer, "aud": aud}
    check_types(parties)
    audiences = audience_of(parties)
    if not issuer or not audiences or not all(audiences):
        raise RejectedError(Reason.CLAIMS_MALFORMED, "a token needs an issuer and an audience, none of them empty")
    return strict_json.encode_object(parties)[1:-1]


_parties = lru_cache(maxsize=256)(_encode_parties)


def _without_fixed(claims: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    differing = sorted(name for name, value in fixed.items() if name in claims and claims[name] != value)
    if differing:
        raise RejectedError(
            Reason.CLAIMS_MALFORMED, f"claims that this call sets were given other values: {', '.join(differing)}"
        )
    return {name: value for name, value in claims.items() if name not in fixed}
