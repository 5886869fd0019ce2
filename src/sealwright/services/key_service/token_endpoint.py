"""The token endpoint of each issuer: client credentials (RFC 6749 §4.4, RFC 8707) and token exchange (RFC 8693)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealwright.errors import Reason, RejectedError
from sealwright.events import TokenRequested, tell
from sealwright.keys.oauth_client import CLIENT_CREDENTIALS, GRANTS, TOKEN_EXCHANGE, OAuthClient
from sealwright.services import http
from sealwright.services.key_service.client_authentication import ClientAuthentication
from sealwright.services.key_service.narrowing import Asked, narrowed_audience, narrowed_scopes
from sealwright.services.key_service.oauth_form import FORM, Form, read_form
from sealwright.services.key_service.signing_front import SigningFront
from sealwright.services.key_service.token_exchange import ACCESS_TOKEN, Granted, TokenExchange
from sealwright.services.oauth_errors import NO_STORE, OAuthError, as_oauth_errors
from sealwright.wiring.single_process import SingleProcess

REPEATABLE = ("resource", "audience")  # RFC 8707 §2, RFC 8693 §2.1


@dataclass(slots=True)
class _Asked:
    """What a request is counted as; strangers' text is no label."""

    grant: str = "unknown"


class TokenEndpoint:
    """Every answer is RFC 6749's, and is counted by grant and outcome."""

    def __init__(self, process: SingleProcess, front: SigningFront, authentication: ClientAuthentication) -> None:
        self._process = process
        self._front = front
        self._authentication = authentication
        self._exchange = TokenExchange(process)

    def routes(self) -> list[Route]:
        return [Route("/issuers/{issuer}/token", self.token, methods=["POST", "GET", "PUT", "PATCH", "DELETE"])]

    async def token(self, request: Request) -> Response:
        if request.method != "POST":  # RFC 6749 §3.2
            raise HTTPException(405, headers={"Allow": "POST"})
        issuer, asked = request.path_params["issuer"], _Asked()
        try:
            with as_oauth_errors():
                answer = await self._answer(request, issuer, asked)
        except OAuthError as failure:
            self._count(issuer, asked, failure.code)
            raise
        self._count(issuer, asked, "issued")
        return http.json_response(answer, headers=NO_STORE)

    async def _answer(self, request: Request, issuer: str, asked: _Asked) -> dict[str, Any]:
        form = await read_form(request, repeatable=REPEATABLE)
        client = await self._authentication.client(request, issuer, form)
        asked.grant = _grant_of(form, client)
        return await self._issued(issuer, client, asked.grant, form)

    async def _issued(self, issuer: str, client: OAuthClient, grant: str, form: Form) -> dict[str, Any]:
        exchanges = grant == TOKEN_EXCHANGE
        granted = await self._exchange.grant(issuer, client, form) if exchanges else _own(client, form)
        signed = await self._front.run(
            issuer,
            client.actor,
            lambda signing: signing.issue_to_client(
                issuer,
                claims=granted.claims,
                audience=granted.audience,
                lifetime_s=client.lifetime_s,
                ends_at=granted.ends_at,
                facts=granted.facts,
            ),
        )
        scope = {"scope": granted.claims["scope"]} if "scope" in granted.claims else {}
        issued = {"issued_token_type": ACCESS_TOKEN} if exchanges else {}
        return {"access_token": signed["token"], "token_type": "Bearer", "expires_in": signed["expires_in"]} | (
            scope | issued
        )

    def _count(self, issuer: str, asked: _Asked, outcome: str) -> None:
        grant = {TOKEN_EXCHANGE: "token_exchange"}.get(asked.grant, asked.grant)
        tell(self._process.observing.observer, TokenRequested(issuer, grant, outcome))


def _grant_of(form: Form, client: OAuthClient) -> str:
    grant = form.needed("grant_type")
    if grant not in GRANTS:
        raise RejectedError(Reason.GRANT_UNSUPPORTED, "there is no such grant here")
    if grant not in client.grants:
        raise RejectedError(Reason.CLIENT_GRANT, "this client may not use that grant")
    return grant


def _own(client: OAuthClient, form: Form) -> Granted:
    """A token in which the client is its own subject (RFC 9068 §2.2)."""
    asked = Asked.of(form)
    audience = narrowed_audience(asked.audiences, client.audiences)
    scopes = narrowed_scopes(asked.scopes, client.scopes)
    claims: dict[str, Any] = {"sub": client.client_id, "client_id": client.client_id}
    claims |= {"scope": " ".join(scopes)} if scopes else {}
    return Granted(claims, audience, math.inf, {})


def openapi_paths() -> dict[str, Any]:
    """The OpenAPI description of this route."""
    text = {"type": "string"}
    texts = {"type": "array", "items": text}
    names = (
        *("scope", "client_id", "client_secret", "client_assertion_type", "client_assertion"),
        *("subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type"),
    )
    grant = {"type": "string", "enum": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE]}
    properties = {"grant_type": grant, "resource": texts, "audience": texts, **dict.fromkeys(names, text)}
    form = {"type": "object", "required": ["grant_type"], "properties": properties}
    problems = {
        "200": "The token (RFC 6749 §5.1).",
        "400": "What is wrong with the request (RFC 6749 §5.2).",
        "401": "The client could not be authenticated.",
        "404": "No such issuer.",
        "429": "Too many refused requests from this address.",
        "503": "Not now.",
    }
    described = {
        "summary": "Get a token as a client",
        "security": [{"client": []}, {}],
        "parameters": [{"name": "issuer", "in": "path", "required": True, "schema": text}],
        "requestBody": {"required": True, "content": {FORM: {"schema": form}}},
        "responses": {status: {"description": what} for status, what in problems.items()},
    }
    return {"/issuers/{issuer}/token": {"post": described}}
