"""Bearer credentials of callers: access tokens of the internal issuer, with scopes (RFC 6750)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sealwright.errors import Reason, RejectedError, SealwrightError
from sealwright.services import http
from sealwright.services.access_facts import AccessFacts
from sealwright.trust import bearer
from sealwright.trust.verifier import Verifier

REALM = "sealwright"
KEYS_READ, KEYS_WRITE = "keys:read", "keys:write"
TOKENS_ISSUE, PAYLOADS_SIGN = "tokens:issue", "payloads:sign"
METRICS_READ, AUDIT_READ, AUDIT_ARCHIVE = "metrics:read", "audit:read", "audit:archive"
APPROVALS_GRANT, CREDENTIALS_ISSUE = "approvals:grant", "credentials:issue"
SECRETS_REVEAL, VERIFIERS_POLL = "secrets:reveal", "verifiers:poll"
TOKENS_REVOKE, TOKENS_INTROSPECT = "tokens:revoke", "tokens:introspect"
CLIENTS_WRITE = "clients:write"
OPERATOR_SCOPES = (
    *(KEYS_READ, KEYS_WRITE, TOKENS_ISSUE, PAYLOADS_SIGN, METRICS_READ, AUDIT_READ, AUDIT_ARCHIVE),
    *(APPROVALS_GRANT, CREDENTIALS_ISSUE, SECRETS_REVEAL, VERIFIERS_POLL, TOKENS_REVOKE, TOKENS_INTROSPECT),
    CLIENTS_WRITE,
)


class CredentialError(Exception):
    """The caller's credential was missing, unacceptable or too narrow; answered with a challenge."""

    def __init__(self, error: SealwrightError, scope: str | None) -> None:
        super().__init__(error.reason)
        self.error = error
        self.scope = scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what the credential allows: ``keys:read`` for every issuer, ``keys:read:payments`` for one."""

    subject: str
    scopes: frozenset[str]
    claims: Mapping[str, Any]

    def may(self, scope: str, issuer: str | None = None) -> bool:
        """For one issuer; None asks for all of them."""
        return scope in self.scopes or (issuer is not None and f"{scope}:{issuer}" in self.scopes)

    def issuers(self, scope: str) -> frozenset[str] | None:
        """The issuers for which the scope is held; None is all of them."""
        prefix = f"{scope}:"
        named = (held.removeprefix(prefix) for held in self.scopes if held.startswith(prefix))
        return None if scope in self.scopes else frozenset(named)


class Credentials:
    """Asks one verifier who a caller is, and whether that caller may do what a scope names."""

    def __init__(self, verifier: Verifier, facts: AccessFacts) -> None:
        self._verifier = verifier
        self._facts = facts

    async def check(self, request: Request, scope: str | None, *, any_issuer: bool = False) -> Caller:
        """Who calls. The scope must be held for the issuer of the path, or of the key or the approval in it.

        Where the path names none, it must be held for all issuers; with ``any_issuer`` for the one that the query
        names, or for at least one, and then the answer is limited to ``Caller.issuers``. Scope None asks for any valid
        credential. Raises CredentialError.
        """
        try:
            caller = await self._caller(request)
            issuer = await self._issuer(request, any_issuer)
            if scope is not None and not caller.may(scope, issuer):
                for_some = any_issuer and issuer is None and caller.issuers(scope)
                if not for_some:
                    raise _too_narrow(scope, issuer)
        except SealwrightError as error:
            raise CredentialError(error, scope) from error
        return caller

    def require(self, scope: str | None, *, any_issuer: bool = False) -> Callable[[Request], Awaitable[Caller]]:
        """A FastAPI dependency: the caller's name is its ``subject``."""

        async def checked(request: Request) -> Caller:
            return await self.check(request, scope, any_issuer=any_issuer)

        return checked

    async def _caller(self, request: Request) -> Caller:
        token = bearer.bearer_token(request.headers.get("authorization"))
        seen = await self._verifier.averify(token)
        caller = Caller(str(seen.subject), seen.scopes, seen.claims)
        request.state.caller = caller
        if (await self._facts.current()).denies(caller.subject):
            raise RejectedError(Reason.CREDENTIAL_DENIED, "this subject was denied")
        return caller

    async def _issuer(self, request: Request, asked: bool) -> str | None:
        facts = await self._facts.current()
        issuer = facts.issuer_of(request.path_params) or (request.query_params.get("issuer") if asked else None)
        request.state.issuer = issuer if issuer in facts.issuers else None
        return issuer


async def on_credential_error(_: Request, failure: Exception) -> Response:
    assert isinstance(failure, CredentialError)
    status = bearer.status(failure.error)
    challenge = bearer.challenge(failure.error, realm=REALM, scope=failure.scope)
    headers = {"WWW-Authenticate": challenge} if status in (400, 401, 403) else None
    return http.problem(failure.error, status=status, headers=headers)


def _too_narrow(scope: str, issuer: str | None) -> RejectedError:
    whose = "every issuer" if issuer is None else "this issuer"
    return RejectedError(Reason.CLAIMS_SCOPE, f"the credential lacks the scope {scope} for {whose}")
