"""Tokens and signatures over HTTP: plain Starlette, since these are called often."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealwright.services import http
from sealwright.services.credentials import PAYLOADS_SIGN, TOKENS_ISSUE, Credentials
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.key_service.secret_operations import payload_of

_NO_STORE = {"Cache-Control": "no-store"}


class SigningRoutes:
    """Issue access tokens, and sign any bytes."""

    def __init__(self, operations: KeyOperations, credentials: Credentials) -> None:
        self._operations = operations
        self._credentials = credentials

    def routes(self) -> list[Route]:
        return [
            Route("/v1/issuers/{issuer}/tokens", self.issue, methods=["POST"]),
            Route("/v1/issuers/{issuer}/sign", self.sign, methods=["POST"]),
        ]

    async def issue(self, request: Request) -> Response:
        caller = await self._credentials.check(request, TOKENS_ISSUE)
        body = await http.read_object(request)
        http.check_members(body, {"claims", "audience", "lifetime_s"})
        issued = await run_in_threadpool(
            self._operations.by(caller.subject).issue_token,
            request.path_params["issuer"],
            claims=http.member(body, "claims", dict),
            audience=http.member(body, "audience", (str, list)),
            lifetime_s=http.member(body, "lifetime_s", (int, float), None),
        )
        return http.json_response(issued, status=201, headers=_NO_STORE)

    async def sign(self, request: Request) -> Response:
        caller = await self._credentials.check(request, PAYLOADS_SIGN)
        body = await http.read_object(request)
        http.check_members(body, {"payload", "typ"})
        signed = await run_in_threadpool(
            self._operations.by(caller.subject).sign_payload,
            request.path_params["issuer"],
            payload=payload_of(http.member(body, "payload", str)),
            typ=http.member(body, "typ", str),
        )
        return http.json_response(signed, status=201, headers=_NO_STORE)


def openapi_paths() -> dict[str, Any]:
    """The OpenAPI description of both routes."""
    token = {
        "claims": {"type": "object", "description": "At least sub; iss, aud, iat, exp and jti are written for you."},
        "audience": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "lifetime_s": {"type": "number", "description": "Seconds; the longest allowed when left out."},
    }
    payload = {
        "payload": {"type": "string", "format": "base64url"},
        "typ": {"type": "string", "description": "The type of what is signed, such as order+jws; never a JWT."},
    }
    return {
        "/v1/issuers/{issuer}/tokens": {"post": _described("Issue an access token", token, ["claims", "audience"])},
        "/v1/issuers/{issuer}/sign": {"post": _described("Sign any bytes", payload, ["payload", "typ"])},
    }


def _described(summary: str, members: dict[str, Any], required: list[str]) -> dict[str, Any]:
    body = {"type": "object", "required": required, "properties": members, "additionalProperties": False}
    problems = {
        "400": "malformed",
        "401": "no acceptable credential",
        "403": "scope too narrow",
        "404": "no such issuer",
    }
    return {
        "summary": summary,
        "security": [{"bearer": []}],
        "parameters": [{"name": "issuer", "in": "path", "required": True, "schema": {"type": "string"}}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "201": {"description": "Signed."},
            **{code: {"description": f"{text} (problem+json)"} for code, text in problems.items()},
        },
    }
