"""Bearer tokens at an HTTP edge (RFC 6750): the header in, the challenge and the status out. Pure."""

from __future__ import annotations

import re

from sealwright.errors import ConfigurationError, Reason, RejectedError, SealwrightError

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # b64token, RFC 6750 §2.1
_NO_TOKEN = (Reason.CREDENTIAL_MISSING, Reason.TOKEN_MISSING)
_SPEAKABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")  # everything but the characters of RFC 6750 §3


def bearer_token(authorization: str | None) -> str:
    """The token of an Authorization header.

    Raises RejectedError ``credential.missing`` without a bearer credential, ``request.malformed`` for a broken one.
    """
    scheme, _, rest = (authorization or "").strip(" ").partition(" ")
    if scheme.lower() != "bearer":
        raise RejectedError(Reason.CREDENTIAL_MISSING, "the request has no bearer token")
    token = rest.strip(" ")
    if _TOKEN.fullmatch(token) is None:
        raise RejectedError(Reason.REQUEST_MALFORMED, "the Authorization header is not one bearer token")
    return token


def challenge(error: SealwrightError | None, *, realm: str, scope: str | None = None) -> str:
    """The WWW-Authenticate value for an answer (RFC 6750 §3). No error code is named when no token was given."""
    parts = [f'realm="{_plain(realm)}"']
    code = _code(error)
    if code is not None and error is not None:
        parts += [
            f'error="{code}"',
            f'error_description="{_SPEAKABLE.sub("", error.message.replace(chr(34), chr(39)))}"',
        ]
    if scope is not None:
        parts.append(f'scope="{_plain(scope)}"')
    return "Bearer " + ", ".join(parts)


def status(error: SealwrightError) -> int:
    """400 a broken request, 401 no acceptable token, 403 too little scope, 503 could not be decided."""
    if not isinstance(error, RejectedError):
        return 503
    return {Reason.REQUEST_MALFORMED: 400, Reason.CLAIMS_SCOPE: 403}.get(error.reason, 401)


def _code(error: SealwrightError | None) -> str | None:
    """RFC 6750 §3.1. An undecided token was not found invalid, so nothing is said about it."""
    if not isinstance(error, RejectedError) or error.reason in _NO_TOKEN:
        return None
    codes = {Reason.REQUEST_MALFORMED: "invalid_request", Reason.CLAIMS_SCOPE: "insufficient_scope"}
    return codes.get(error.reason, "invalid_token")


def _plain(value: str) -> str:
    if _SPEAKABLE.search(value):
        raise ConfigurationError(Reason.SETTINGS_INVALID, "realm and scope are printable ASCII without quotes")
    return value
