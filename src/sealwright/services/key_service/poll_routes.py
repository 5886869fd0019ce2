"""The poll of verifiers (RFC 8936 §2): plain Starlette, since thousands of them wait here."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.services import http
from sealwright.services.credentials import VERIFIERS_POLL, Credentials
from sealwright.services.key_service.poll_front import PollFront
from sealwright.statements.verifier_reports import LONGEST_WAIT_S, MOST_ISSUERS, VerifierReport, parse_report

MAXIMUM_POLL_BYTES = 64 * 1024
MOST_ACKNOWLEDGED = 1_000
LONGEST_INSTANCE = 100  # characters
_MEMBERS = {"maxEvents", "returnImmediately", "ack", "setErrs", "verifier"}


class PollRoutes:
    """One route. What a verifier acknowledges or complains of is not needed: its report says what it enforces."""

    def __init__(self, front: PollFront, credentials: Credentials) -> None:
        self._front = front
        self._credentials = credentials

    def routes(self) -> list[Route]:
        return [Route("/v1/verifiers/poll", self.poll, methods=["POST"])]

    async def poll(self, request: Request) -> Response:
        """Nobody speaks for another verifier: the name in a report is the subject of the credential."""
        caller = await self._credentials.check(request, VERIFIERS_POLL, any_issuer=True)
        try:
            report, wait_s, most = _parsed(await request.body())
            if report.name != caller.subject:
                message = "the credential is of another verifier: the name in a report is the credential's subject"
                raise RejectedError(Reason.CREDENTIAL_SCOPE, message)
            answer = await self._front.answer(report, caller.issuers(VERIFIERS_POLL), wait_s, most)
        except RejectedError as error:
            if error.reason is not Reason.REQUEST_TOO_MANY:
                raise
            return http.problem(error, status=429, headers={"Retry-After": str(http.RETRY_AFTER_S)})
        return http.json_response(answer.to_dict(), headers={"Cache-Control": "no-store"})


def _parsed(body: bytes) -> tuple[VerifierReport, float, int]:
    """The report, how long to wait in seconds, and how many events to answer with at most.

    Raises RejectedError ``request.too_large``, ``request.malformed``, ``json.*`` or ``statement.malformed``.
    """
    if len(body) > MAXIMUM_POLL_BYTES:
        raise RejectedError(Reason.REQUEST_TOO_LARGE, f"a poll may have {MAXIMUM_POLL_BYTES} bytes at most")
    asked = strict_json.parse_object(body)
    http.check_members(asked, _MEMBERS)
    most, at_once = (
        http.member(asked, "maxEvents", int, MOST_ISSUERS),
        http.member(asked, "returnImmediately", bool, False),
    )
    acknowledged, errors = http.member(asked, "ack", list, []), http.member(asked, "setErrs", dict, {})
    if most < 0 or len(acknowledged) + len(errors) > MOST_ACKNOWLEDGED:
        raise RejectedError(
            Reason.REQUEST_MALFORMED, "the poll asks for fewer than no events, or acknowledges too many"
        )
    report = parse_report(http.member(asked, "verifier", dict))
    if len(report.instance) > LONGEST_INSTANCE:
        raise RejectedError(Reason.STATEMENT_MALFORMED, f"an instance has {LONGEST_INSTANCE} characters at most")
    return report, 0.0 if at_once or most == 0 else LONGEST_WAIT_S, most


def openapi_paths() -> dict[str, Any]:
    """The OpenAPI description of the route."""
    members = {
        "maxEvents": {"type": "integer", "minimum": 0, "description": "0 reports, and waits for nothing."},
        "returnImmediately": {"type": "boolean"},
        "ack": {"type": "array", "items": {"type": "string"}, "maxItems": MOST_ACKNOWLEDGED},
        "setErrs": {"type": "object"},
        "verifier": {"type": "object", "description": "What this process holds and enforces: docs/http-api.md."},
    }
    schema = {"type": "object", "required": ["verifier"], "properties": members, "additionalProperties": False}
    problems = {
        "400": "malformed",
        "401": "no acceptable credential",
        "403": "scope too narrow, or another's name",
        "413": "too large",
        "429": "too many polls",
        "503": "what is new cannot be known, or kept, now",
    }
    described = {
        "summary": "Report what a verifier enforces, and wait for what is new (RFC 8936)",
        "security": [{"bearer": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"200": {"description": "Events and trials."}}
        | {status: {"description": f"{why} (problem+json)."} for status, why in problems.items()},
    }
    return {"/v1/verifiers/poll": {"post": described}}
