"""Tokens and signatures over HTTP: plain Starlette, since these are called often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.services import http
from sealwright.services.credentials import PAYLOADS_SIGN, TOKENS_ISSUE, Credentials
from sealwright.services.key_service.secret_operations import payload_of
from sealwright.services.key_service.signing_front import SigningFront
from sealwright.services.key_service.signing_operations import MOST_IN_BATCH, SigningOperations

_NO_STORE = {"Cache-Control": "no-store"}
_TOKEN_MEMBERS, _PAYLOAD_MEMBERS = {"claims", "audience", "lifetime_s", "status"}, {"payload", "typ"}


class SigningRoutes:
    """Issue access tokens, and sign any bytes; one, or a batch of which all or none are signed."""

    def __init__(self, front: SigningFront, credentials: Credentials) -> None:
        self._front = front
        self._credentials = credentials

    def routes(self) -> list[Route]:
        return [
            Route("/v1/issuers/{issuer}/tokens", self.issue, methods=["POST"]),
            Route("/v1/issuers/{issuer}/tokens/batch", self.issue_batch, methods=["POST"]),
            Route("/v1/issuers/{issuer}/sign", self.sign, methods=["POST"]),
            Route("/v1/issuers/{issuer}/sign/batch", self.sign_batch, methods=["POST"]),
        ]

    async def issue(self, request: Request) -> Response:
        return await self._answer(request, TOKENS_ISSUE, _issue)

    async def issue_batch(self, request: Request) -> Response:
        return await self._answer(request, TOKENS_ISSUE, _issue_batch, b'"audience"')

    async def sign(self, request: Request) -> Response:
        return await self._answer(request, PAYLOADS_SIGN, _sign)

    async def sign_batch(self, request: Request) -> Response:
        return await self._answer(request, PAYLOADS_SIGN, _sign_batch, b'"payload"')

    async def _answer(
        self,
        request: Request,
        scope: str,
        work: Callable[[SigningOperations, str, Mapping[str, Any]], dict[str, Any]],
        counted: bytes | None = None,
    ) -> Response:
        """One hop: a thread of the backend reads the body, signs and writes the answer.

        A batch weighs as much in the queue as it seems to have items; what it really has is checked when it is read.
        """
        caller = await self._credentials.check(request, scope)
        body, issuer = await request.body(), request.path_params["issuer"]
        signatures = 1 if counted is None else max(1, min(MOST_IN_BATCH, body.count(counted)))

        def answer(operations: SigningOperations) -> Response:
            made = work(operations, issuer, strict_json.parse_object(body))
            return http.json_response(made, status=201, headers=_NO_STORE)

        return await self._front.run(issuer, caller.subject, answer, signatures)


def _issue(operations: SigningOperations, issuer: str, body: Mapping[str, Any]) -> dict[str, Any]:
    http.check_members(body, {*_TOKEN_MEMBERS, "reuse"})
    reuse = http.member(body, "reuse", bool, False)
    return operations.issue_token(issuer, **_token(body), reuse=reuse)


def _issue_batch(operations: SigningOperations, issuer: str, body: Mapping[str, Any]) -> dict[str, Any]:
    items = _items(body, "tokens", _TOKEN_MEMBERS)
    return operations.issue_tokens(issuer, [_token(item) for item in items])


def _sign(operations: SigningOperations, issuer: str, body: Mapping[str, Any]) -> dict[str, Any]:
    http.check_members(body, _PAYLOAD_MEMBERS)
    payload, typ = _payload(body)
    return operations.sign_payload(issuer, payload=payload, typ=typ)


def _sign_batch(operations: SigningOperations, issuer: str, body: Mapping[str, Any]) -> dict[str, Any]:
    items = _items(body, "payloads", _PAYLOAD_MEMBERS)
    return operations.sign_payloads(issuer, [_payload(item) for item in items])


def _items(body: Mapping[str, Any], name: str, known: set[str]) -> list[dict[str, Any]]:
    http.check_members(body, {name})
    items: list[dict[str, Any]] = http.member(body, name, list)
    for item in items:
        if not isinstance(item, dict):
            raise RejectedError(Reason.REQUEST_MALFORMED, f'an item of "{name}" is not an object')
        http.check_members(item, known)
    return items


def _token(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "claims": http.member(body, "claims", dict),
        "audience": http.member(body, "audience", (str, list)),
        "lifetime_s": http.member(body, "lifetime_s", (int, float), None),
        "status": http.member(body, "status", bool, False),
    }


def _payload(body: Mapping[str, Any]) -> tuple[bytes, str]:
    return payload_of(http.member(body, "payload", str)), http.member(body, "typ", str)
