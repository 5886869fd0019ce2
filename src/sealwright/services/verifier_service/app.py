"""POST /v1/verify: one decision, answered with 200 whatever it is, since deciding was the job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealwright.services import http
from sealwright.trust.verifier import Verifier

VerifierOf = Callable[[str | None], Verifier]  # the audience that the caller names -> who decides


class DecisionEndpoint:
    """Decides over tokens that are posted to it."""

    def __init__(self, verifier_of: VerifierOf) -> None:
        self._verifier_of = verifier_of

    def routes(self) -> list[Route]:
        return [Route("/v1/verify", self.verify, methods=["POST"])]

    async def verify(self, request: Request) -> Response:
        body = await http.read_object(request)
        http.check_members(body, {"token", "audience", "scopes", "explain"})
        token = http.member(body, "token", str)
        scopes = frozenset(str(scope) for scope in http.member(body, "scopes", list, []))
        verifier = self._verifier_of(http.member(body, "audience", str, None))
        explain = http.member(body, "explain", bool, False)
        decision = await verifier.adecide(token, scopes=scopes, explain=explain)
        return http.json_response(decision.to_dict(), headers={"Cache-Control": "no-store"})


def openapi_paths() -> dict[str, Any]:
    """The OpenAPI description of the decision endpoint."""
    members = {
        "token": {"type": "string"},
        "audience": {"type": "string", "description": "Who you are: the token must name you in aud."},
        "scopes": {"type": "array", "items": {"type": "string"}},
        "explain": {"type": "boolean", "description": "Add the checks in their order, what each expected and found."},
    }
    body = {"type": "object", "required": ["token"], "properties": members, "additionalProperties": False}
    described = {
        "summary": "Decide over a token: accepted, rejected or undecided, and why",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {"description": "The decision."},
            "400": {"description": "The request is malformed (problem+json)."},
            "413": {"description": "The request is too large (problem+json)."},
        },
    }
    return {"/v1/verify": {"post": described}}
