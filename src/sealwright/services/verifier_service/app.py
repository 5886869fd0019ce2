"""POST /v1/verify: one decision, answered with 200 whatever it is, since deciding was the job."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealwright.errors import Reason, RejectedError
from sealwright.services import http
from sealwright.trust.evidence import Evidence
from sealwright.trust.verifier import Verifier

_SHA256 = re.compile(r"[A-Za-z0-9_-]{43}")
_EVIDENCE = {  # what may prove who presents the token, in the order in which it is read
    "method": "The method of the request that the token came with.",
    "url": "The URL of that request, as its client sent it.",
    "scheme": "How its Authorization header presented the token.",
    "dpop": "Its DPoP header; several of them joined by a comma, which is refused.",
    "certificate_thumbprint": "x5t#S256 of the certificate that its client proved to hold in TLS.",
}
VerifierOf = Callable[[str | None], Verifier]  # the audience that the caller names -> who decides


class DecisionEndpoint:
    """Decides over tokens that are posted to it."""

    def __init__(self, verifier_of: VerifierOf) -> None:
        self._verifier_of = verifier_of

    def routes(self) -> list[Route]:
        return [Route("/v1/verify", self.verify, methods=["POST"])]

    async def verify(self, request: Request) -> Response:
        body = await http.read_object(request)
        http.check_members(body, {"token", "audience", "scopes", "explain", *_EVIDENCE})
        token = http.member(body, "token", str)
        scopes = frozenset(str(scope) for scope in http.member(body, "scopes", list, []))
        verifier = self._verifier_of(http.member(body, "audience", str, None))
        explain = http.member(body, "explain", bool, False)
        decision = await verifier.adecide(token, scopes=scopes, evidence=_evidence(body), explain=explain)
        return http.json_response(decision.to_dict(), headers={"Cache-Control": "no-store"})


def _evidence(body: Mapping[str, Any]) -> Evidence:
    """What the caller saw of the request that the token came with; RejectedError ``request.malformed``."""
    method, url, scheme, proof, thumbprint = (http.member(body, name, str, None) for name in _EVIDENCE)
    if scheme not in (None, "bearer", "dpop"):
        raise RejectedError(Reason.REQUEST_MALFORMED, 'the request member "scheme" is neither "bearer" nor "dpop"')
    if thumbprint is not None and _SHA256.fullmatch(thumbprint) is None:
        raise RejectedError(Reason.REQUEST_MALFORMED, 'the request member "certificate_thumbprint" is no thumbprint')
    proofs = () if proof is None else (proof,)
    return Evidence(method=method, url=url, scheme=scheme, proofs=proofs, certificate_thumbprint=thumbprint)


def openapi_paths() -> dict[str, Any]:
    """The OpenAPI description of the decision endpoint."""
    members: dict[str, dict[str, Any]] = {
        "token": {"type": "string"},
        "audience": {"type": "string", "description": "Who you are: the token must name you in aud."},
        "scopes": {"type": "array", "items": {"type": "string"}},
        "explain": {"type": "boolean", "description": "Add the checks in their order, what each expected and found."},
        **{name: {"type": "string", "description": text} for name, text in _EVIDENCE.items()},
    }
    members["scheme"]["enum"] = ["bearer", "dpop"]
    members["certificate_thumbprint"]["pattern"] = f"^{_SHA256.pattern}$"
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
