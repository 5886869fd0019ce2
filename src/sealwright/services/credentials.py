"""Bearer credentials of callers: access tokens of the internal issuer, with scopes (RFC 6750)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from sealwright.errors import SealwrightError
from sealwright.services import http
from sealwright.trust import bearer
from sealwright.trust.decision import Verified
from sealwright.trust.verifier import Verifier

REALM = "sealwright"
KEYS_READ, KEYS_WRITE = "keys:read", "keys:write"
TOKENS_ISSUE, PAYLOADS_SIGN = "tokens:issue", "payloads:sign"
METRICS_READ, AUDIT_READ, AUDIT_ARCHIVE = "metrics:read", "audit:read", "audit:archive"
OPERATOR_SCOPES = (KEYS_READ, KEYS_WRITE, TOKENS_ISSUE, PAYLOADS_SIGN, METRICS_READ, AUDIT_READ, AUDIT_ARCHIVE)


class CredentialError(Exception):
    """The caller's credential was missing, unacceptable or too narrow; answered with a challenge."""

    def __init__(self, error: SealwrightError, scope: str) -> None:
        super().__init__(error.reason)
        self.error = error
        self.scope = scope


class Credentials:
    """Asks one verifier whether a caller may do what a scope names."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def check(self, request: Request, scope: str) -> Verified:
        """Who calls. Raises CredentialError."""
        try:
            token = bearer.bearer_token(request.headers.get("authorization"))
            return await self._verifier.averify(token, scopes=frozenset({scope}))
        except SealwrightError as error:
            raise CredentialError(error, scope) from error

    def require(self, scope: str) -> Callable[[Request], Awaitable[Verified]]:
        """A FastAPI dependency: the caller's name is its ``subject``."""

        async def verified(request: Request) -> Verified:
            return await self.check(request, scope)

        return verified


async def on_credential_error(_: Request, failure: Exception) -> Response:
    assert isinstance(failure, CredentialError)
    status = bearer.status(failure.error)
    challenge = bearer.challenge(failure.error, realm=REALM, scope=failure.scope)
    headers = {"WWW-Authenticate": challenge} if status in (400, 401, 403) else None
    return http.problem(failure.error, status=status, headers=headers)
