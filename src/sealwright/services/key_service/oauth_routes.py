"""Introspection (RFC 7662, signed RFC 9701) and revocation (RFC 7009) of tokens, as OAuth programs know them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealwright.services import http
from sealwright.services.credentials import TOKENS_INTROSPECT, TOKENS_REVOKE, Credentials
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.key_service.signing_front import SigningFront

SIGNED_TYP = "token-introspection+jwt"
SIGNED_MEDIA_TYPE = f"application/{SIGNED_TYP}"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 10


class OAuthRoutes:
    """Callers authenticate with a bearer credential of this service; what it covers is its scope, not a client id."""

    def __init__(self, operations: KeyOperations, front: SigningFront, credentials: Credentials) -> None:
        self._operations = operations
        self._front = front
        self._credentials = credentials

    def routes(self) -> list[Route]:
        return [
            Route("/issuers/{issuer}/introspect", self.introspect, methods=["POST"]),
            Route("/issuers/{issuer}/revoke", self.revoke, methods=["POST"]),
        ]

    async def introspect(self, request: Request) -> Response:
        """Valid at all is what is answered; whom the token is for, its "aud" tells, and the caller compares."""
        caller = await self._credentials.check(request, TOKENS_INTROSPECT)
        token = await _token(request)
        if token is None:
            return _invalid_request()
        issuer, tokens = request.path_params["issuer"], self._operations.by(caller.subject).tokens
        answer = await tokens.introspect(issuer, token)
        if SIGNED_MEDIA_TYPE not in request.headers.get("accept", ""):
            return http.json_response(answer, headers=_NO_STORE)
        claims = tokens.signed_answer(issuer, answer)
        signed = await self._front.run(
            issuer, caller.subject, lambda signing: signing.sign_answer(issuer, claims, typ=SIGNED_TYP)
        )
        return Response(signed, headers=_NO_STORE, media_type=SIGNED_MEDIA_TYPE)

    async def revoke(self, request: Request) -> Response:
        """200 for every token, known or not (RFC 7009 §2.2)."""
        caller = await self._credentials.check(request, TOKENS_REVOKE)
        token = await _token(request)
        if token is None:
            return _invalid_request()
        tokens = self._operations.by(caller.subject).tokens
        await run_in_threadpool(tokens.withdraw, request.path_params["issuer"], token)
        return Response(status_code=200, headers=_NO_STORE)


async def _token(request: Request) -> str | None:
    """The one field "token" of a form; None for anything else. Hints are hints: all tokens here are access tokens."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return None
    try:
        text = (await request.body()).decode("ascii")
        fields = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_FIELDS)
    except ValueError:  # UnicodeDecodeError is one
        return None
    names = [name for name, _ in fields]
    return dict(fields).get("token") or None if len(set(names)) == len(names) else None


def _invalid_request() -> Response:
    """As OAuth programs read it (RFC 6749 §5.2)."""
    fault = {"error": "invalid_request", "error_description": f'send one field "token" as {_FORM}'}
    return http.json_response(fault, status=400, headers=_NO_STORE)


def openapi_paths() -> dict[str, Any]:
    """The OpenAPI description of these routes."""
    members = {"token": {"type": "string"}, "token_type_hint": {"type": "string"}}
    form = {"type": "object", "required": ["token"], "properties": members}
    problems = {
        "400": "no token",
        "401": "no acceptable credential",
        "403": "scope too narrow",
        "404": "no such issuer",
    }
    responses = {status: {"description": f"{what}."} for status, what in problems.items()}
    named = [{"name": "issuer", "in": "path", "required": True, "schema": {"type": "string"}}]
    described = {
        "security": [{"bearer": []}],
        "parameters": named,
        "requestBody": {"required": True, "content": {_FORM: {"schema": form}}},
    }
    told = {"200": {"description": "Whether the token is active, and what it says (RFC 7662)."}}
    done = {"200": {"description": "The token is not acceptable any more, or never was (RFC 7009)."}}
    return {
        "/issuers/{issuer}/introspect": {
            "post": {"summary": "Introspect a token", **described, "responses": told | responses}
        },
        "/issuers/{issuer}/revoke": {"post": {"summary": "Revoke a token", **described, "responses": done | responses}},
    }
