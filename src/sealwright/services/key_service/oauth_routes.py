"""Introspection (RFC 7662, signed RFC 9701) and revocation (RFC 7009) of tokens, as OAuth programs know them."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealwright.errors import RejectedError
from sealwright.keys.oauth_client import OAuthClient
from sealwright.services import http
from sealwright.services.credentials import TOKENS_INTROSPECT, TOKENS_REVOKE, Credentials
from sealwright.services.key_service.client_authentication import ClientAuthentication, presents_client
from sealwright.services.key_service.oauth_form import FORM, Form, read_form
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.key_service.signing_front import SigningFront
from sealwright.services.oauth_errors import NO_STORE, as_oauth_errors

SIGNED_TYP = "token-introspection+jwt"
SIGNED_MEDIA_TYPE = f"application/{SIGNED_TYP}"


class OAuthRoutes:
    """Callers authenticate with a bearer credential of this service, whose scope is what it covers, or as a client.

    A client may introspect and revoke the tokens that were issued to it, and introspect those that it is shown.
    """

    def __init__(
        self, operations: KeyOperations, front: SigningFront, credentials: Credentials, clients: ClientAuthentication
    ) -> None:
        self._operations = operations
        self._front = front
        self._credentials = credentials
        self._clients = clients

    def routes(self) -> list[Route]:
        return [
            Route("/issuers/{issuer}/introspect", self.introspect, methods=["POST"]),
            Route("/issuers/{issuer}/revoke", self.revoke, methods=["POST"]),
        ]

    async def introspect(self, request: Request) -> Response:
        """Valid at all is what is answered; whom the token is for, its "aud" tells, and the caller compares."""
        token, client = await self._asked(request, TOKENS_INTROSPECT)
        actor = request.state.caller.subject
        issuer, tokens = request.path_params["issuer"], self._operations.by(actor).tokens
        answer = await tokens.introspect(issuer, token)
        if client is not None and not client.is_shown(answer):
            answer = {"active": False}
        if SIGNED_MEDIA_TYPE not in request.headers.get("accept", ""):
            return http.json_response(answer, headers=NO_STORE)
        claims = tokens.signed_answer(issuer, answer, actor if client is None else client.client_id)
        signed = await self._front.run(
            issuer, actor, lambda signing: signing.sign_answer(issuer, claims, typ=SIGNED_TYP)
        )
        return Response(signed, headers=NO_STORE, media_type=SIGNED_MEDIA_TYPE)

    async def revoke(self, request: Request) -> Response:
        """200 for every token, known or not (RFC 7009 §2.2)."""
        token, client = await self._asked(request, TOKENS_REVOKE)
        tokens = self._operations.by(request.state.caller.subject).tokens
        only_of = None if client is None else client.client_id
        await run_in_threadpool(tokens.withdraw, request.path_params["issuer"], token, only_of)
        return Response(status_code=200, headers=NO_STORE)

    async def _asked(self, request: Request, scope: str) -> tuple[str, OAuthClient | None]:
        """The token, and the client that asks, if it is one. Who calls is settled before a malformed form matters.

        Hints are hints: all tokens here are access tokens.
        """
        form, fault = Form({}), None
        try:
            form = await read_form(request)
        except RejectedError as error:
            fault = error
        client = None
        with as_oauth_errors():
            if presents_client(request, form):
                client = await self._clients.client(request, request.path_params["issuer"], form)
            else:
                await self._credentials.check(request, scope)
            if fault is not None:
                raise fault
            return form.needed("token"), client


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
        "security": [{"bearer": []}, {"client": []}],
        "parameters": named,
        "requestBody": {"required": True, "content": {FORM: {"schema": form}}},
    }
    told = {"200": {"description": "Whether the token is active, and what it says (RFC 7662)."}}
    done = {"200": {"description": "The token is not acceptable any more, or never was (RFC 7009)."}}
    return {
        "/issuers/{issuer}/introspect": {
            "post": {"summary": "Introspect a token", **described, "responses": told | responses}
        },
        "/issuers/{issuer}/revoke": {"post": {"summary": "Revoke a token", **described, "responses": done | responses}},
    }
