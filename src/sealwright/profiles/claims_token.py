"""Claims tokens: a JWT with issuer, audience, times and an id that the caller cannot contradict (RFC 7519)."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.claims import audience_of, check_types
from sealwright.jose.signing import Signer, sign

LATEST_TIME = 253_402_300_799  # the end of the year 9999; many readers of dates break beyond


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
    payload = claims_payload(
        claims, issuer=issuer, audience=audience, lifetime_s=lifetime_s, now=clock.now(), token_id=new_token_id()
    )
    return sign(payload, signer, typ=typ)


def claims_payload(
    claims: Mapping[str, Any],
    *,
    issuer: str,
    audience: str | Sequence[str],
    lifetime_s: float,
    now: float,
    token_id: str,
) -> bytes:
    """The payload of a claims token, pure. ``now`` in seconds since the epoch, ``lifetime_s`` one second or more.

    iat and exp are whole seconds, rounded so that the token lives no longer than asked. Raises RejectedError
    ``claims.malformed`` for claims that contradict the arguments, ``claims.wrong_type``, ``claims.lifetime``, and
    ``json.*`` for what cannot be written so that every reader reads the same.
    """
    _check_names(claims)
    _check_lifetime(lifetime_s)
    issued = math.floor(now)
    aud = list(audience) if isinstance(audience, Sequence) and not isinstance(audience, str) else audience
    fixed = {"iss": issuer, "aud": aud, "iat": issued, "exp": issued + math.floor(lifetime_s)}
    for given in (claims, fixed):
        check_types(given)
    _check_fixed(fixed)
    _check_agreement(claims, fixed)
    payload = strict_json.encode_object({"jti": token_id, **claims, **fixed})
    strict_json.parse_object(payload)  # what a verifier would refuse to read is not signed
    return payload


def new_token_id() -> str:
    """A random "jti" of 128 bits."""
    return secrets.token_hex(16)


def _check_names(claims: Mapping[str, Any]) -> None:
    if not isinstance(claims, Mapping) or any(not isinstance(name, str) for name in claims):
        raise RejectedError(Reason.CLAIMS_MALFORMED, "claims are an object whose names are text")


def _check_lifetime(lifetime_s: float) -> None:
    """Less than a second would be none at all in whole seconds; the comparison is False for NaN as well."""
    number = isinstance(lifetime_s, int | float) and not isinstance(lifetime_s, bool)
    if not number or not 1 <= lifetime_s <= LATEST_TIME:
        raise RejectedError(Reason.CLAIMS_LIFETIME, "a lifetime is a finite number of seconds, one or more")


def _check_fixed(fixed: Mapping[str, Any]) -> None:
    audiences = audience_of(fixed)
    if not fixed["iss"] or not audiences or not all(audiences):
        raise RejectedError(Reason.CLAIMS_MALFORMED, "a token needs an issuer and an audience, none of them empty")
    if fixed["exp"] > LATEST_TIME:
        raise RejectedError(Reason.CLAIMS_LIFETIME, "the token would live beyond the year 9999")


def _check_agreement(claims: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
    differing = sorted(name for name, value in fixed.items() if name in claims and claims[name] != value)
    if differing:
        raise RejectedError(
            Reason.CLAIMS_MALFORMED, f"claims that this call sets were given other values: {', '.join(differing)}"
        )
