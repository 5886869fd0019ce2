"""OAuthError: what went wrong at an OAuth endpoint, as OAuth programs read it (RFC 6749 §5.2, RFC 8693 §2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response

from sealwright.errors import Reason, RejectedError, SealwrightError
from sealwright.services import http

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
CHALLENGE = 'Basic realm="sealwright"'
UNAVAILABLE = "temporarily_unavailable"
_INVALID_CLIENT = RejectedError(Reason.CLIENT_AUTHENTICATION, "the client could not be authenticated")
_CODES: Mapping[Reason, str] = {
    Reason.CLIENT_GRANT: "unauthorized_client",
    Reason.CLIENT_SCOPE: "invalid_scope",
    Reason.CLIENT_AUDIENCE: "invalid_target",
    Reason.GRANT_UNSUPPORTED: "unsupported_grant_type",
}
_UNSPEAKABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


class OAuthError(Exception):
    """``error`` is what happened; of a client that was not authenticated a stranger learns nothing more than that."""

    def __init__(self, error: SealwrightError, *, unauthenticated: bool = False) -> None:
        super().__init__(error.reason)
        self.error = error
        self.unauthenticated = unauthenticated

    @property
    def code(self) -> str:
        if self.unauthenticated:
            return "invalid_client"
        return _CODES.get(self.error.reason, "invalid_request") if self._rejected else UNAVAILABLE

    @property
    def _rejected(self) -> bool:
        return isinstance(self.error, RejectedError)

    def response(self) -> Response:
        told = _INVALID_CLIENT if self.unauthenticated else self.error
        description = _UNSPEAKABLE.sub("", told.message.replace('"', "'"))
        body = {"error": self.code, "error_description": description, "reason": told.reason}
        if self.unauthenticated:
            return http.json_response(body, status=401, headers={**NO_STORE, "WWW-Authenticate": CHALLENGE})
        if self._rejected:
            return http.json_response(body, status=400, headers=NO_STORE)
        return http.json_response(body, status=503, headers={**NO_STORE, "Retry-After": str(http.RETRY_AFTER_S)})


@contextmanager
def as_oauth_errors() -> Iterator[None]:
    """Whatever goes wrong is an OAuthError; only that there is no such issuer is an ordinary 404."""
    try:
        yield
    except SealwrightError as error:
        if error.reason is Reason.REQUEST_NOT_FOUND:
            raise
        raise OAuthError(error) from error


async def on_oauth_error(_: Request, failure: Exception) -> Response:
    assert isinstance(failure, OAuthError)
    return failure.response()
