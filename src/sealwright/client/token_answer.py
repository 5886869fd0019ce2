"""AccessToken: what a token endpoint gave, and the refusals that it may give instead (RFC 6749 §5). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.jose import strict_json

UNSAID_LIFETIME_S = 60.0  # RFC 6749 §5.1 lets a server leave expires_in out
LONGEST_LIFETIME_S = 7 * 86_400.0
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # b64token, RFC 6750 §2.1
_MAXIMUM_TOKEN_LENGTH = 64 * 1024
_ERROR = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,100}")  # RFC 6749 §5.2


@dataclass(frozen=True, slots=True)
class AccessToken:
    """``lifetime_s`` counts from the request that brought it."""

    text: str = field(repr=False)
    lifetime_s: float


def parse_token(body: bytes) -> AccessToken:
    """Raises UnavailableError ``credential.unavailable`` for all but one bearer token."""
    try:
        members = strict_json.parse_object(body)
    except RejectedError as error:
        raise unavailable("the token endpoint answered with what is no JSON object", error.message) from error
    kind, text = members.get("token_type"), members.get("access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise unavailable("the token endpoint gave no bearer token")
    if not isinstance(text, str) or len(text) > _MAXIMUM_TOKEN_LENGTH or _TOKEN.fullmatch(text) is None:
        raise unavailable("the token endpoint gave a token that no header can carry")
    return AccessToken(text, _lifetime(members))


def refusal(status: int, body: bytes) -> UnavailableError:
    """Why there is no token: ``credential.refused`` where the server said so, else ``credential.unavailable``."""
    if status not in (400, 401, 403):
        return unavailable("the token endpoint failed", f"HTTP status {status}")
    try:
        named = strict_json.parse_object(body).get("error")
    except RejectedError:
        named = None
    code = named if isinstance(named, str) and _ERROR.fullmatch(named) else "no error code"
    message = "the token endpoint refused to give this client a token"
    return UnavailableError(Reason.CREDENTIAL_REFUSED, message, detail=f"HTTP status {status}: {code}")


def unavailable(message: str, detail: str | None = None) -> UnavailableError:
    return UnavailableError(Reason.CREDENTIAL_UNAVAILABLE, message, detail=detail)


def _lifetime(members: dict[str, Any]) -> float:
    named = members.get("expires_in", UNSAID_LIFETIME_S)
    if isinstance(named, str) and named.isascii() and named.isdigit() and len(named) < 10:
        named = int(named)  # there are servers that write the number as text
    if isinstance(named, bool) or not isinstance(named, int | float) or named <= 0:
        raise unavailable("the token endpoint gave a token without a lifetime")
    return float(min(named, LONGEST_LIFETIME_S))
