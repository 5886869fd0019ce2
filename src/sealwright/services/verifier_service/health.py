"""Health of the sidecar: alive, ready to decide for each issuer, its figures and, for operators, its status."""

from __future__ import annotations

import asyncio

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sealwright.errors import Reason, RejectedError, SealwrightError
from sealwright.services import http
from sealwright.wiring.observing import Observing
from sealwright.wiring.verifying import VerifyingIssuer, VerifyingSide

_NOT_KEPT = {"Cache-Control": "no-store"}


class HealthPages:
    """Metrics and status are for callers on this machine."""

    def __init__(self, verifying: VerifyingSide, observing: Observing) -> None:
        self._verifying, self._observing = verifying, observing

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self.alive),
            Route("/readyz", self.ready),
            Route("/metrics", self.metrics),
            Route("/v1/status", self.status),
        ]

    async def alive(self, _: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def ready(self, _: Request) -> Response:
        """Ready means: it can decide over the tokens of every issuer that is required."""
        issuers = self._verifying.issuers
        answers = await asyncio.gather(*map(_can_decide, issuers.values()))
        states = dict(zip(issuers, answers, strict=True))
        is_ready = all(states[name] for name, one in issuers.items() if one.table.required)
        headers = _NOT_KEPT if is_ready else {**_NOT_KEPT, "Retry-After": str(http.RETRY_AFTER_S)}
        return http.json_response(
            {"ready": is_ready, "issuers": states}, status=200 if is_ready else 503, headers=headers
        )

    async def metrics(self, request: Request) -> Response:
        _check_near(request)
        body, media_type = self._observing.metrics.exposition()
        return Response(body, media_type=media_type)

    async def status(self, request: Request) -> Response:
        _check_near(request)
        return http.json_response(self._verifying.status(), headers=_NOT_KEPT)


async def _can_decide(issuer: VerifyingIssuer) -> bool:
    try:
        await run_in_threadpool(issuer.check_ready)
    except SealwrightError:
        return False
    return True


def _check_near(request: Request) -> None:
    if not http.from_loopback(request):
        raise RejectedError(Reason.REQUEST_NOT_FOUND, "there is nothing at this path")
