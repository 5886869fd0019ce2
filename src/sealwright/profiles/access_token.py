"""Access tokens: JWTs of type at+jwt that say who asked, for whom and for how long (RFC 9068 §2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.profiles.claims_token import claims_payload, new_token_id

TYP = "at+jwt"  # RFC 9068 §2.1
_REQUIRED = ("sub", "client_id", "jti")
# RFC 6749 §3.3: printable ASCII without space, quote and backslash, one space between; no scope at all is allowed.
_SCOPE = re.compile(r"([!#-\[\]-~]+( [!#-\[\]-~]+)*)?")


def access_token_payload(
    claims: Mapping[str, Any],
    *,
    issuer: str,
    audience: str | Sequence[str],
    lifetime_s: float,
    longest_s: float,
    now: float,
    token_id: str | None = None,
) -> bytes:
    """The payload of an access token, to be signed with typ ``TYP``. Pure when ``token_id`` is given.

    Raises RefusedError ``guard.lifetime`` above ``longest_s``, RejectedError ``claims.missing`` without sub,
    client_id or jti, ``claims.malformed`` for a scope that RFC 6749 does not allow, and what ``claims_payload`` raises.
    """
    token_id = new_token_id() if token_id is None else token_id
    payload = claims_payload(
        claims, issuer=issuer, audience=audience, lifetime_s=lifetime_s, now=now, token_id=token_id
    )
    if lifetime_s > longest_s:
        raise RefusedError(Reason.GUARD_LIFETIME, f"an access token may live for {longest_s:g} s at most")
    _check_present({"jti": token_id, **claims})
    if not _SCOPE.fullmatch(claims.get("scope", "")):
        raise RejectedError(Reason.CLAIMS_MALFORMED, 'the claim "scope" is not names with one space between them')
    return payload


def _check_present(claims: Mapping[str, Any]) -> None:
    missing = [name for name in _REQUIRED if not claims.get(name)]
    if missing:
        raise RejectedError(Reason.CLAIMS_MISSING, f"an access token needs the claims: {', '.join(missing)}")
