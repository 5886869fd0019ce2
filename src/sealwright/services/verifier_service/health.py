"""Health of the sidecar: alive, ready to decide for each issuer, its figures and, for operators, its status."""

from __future__ import annotations

import asyncio
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sealwright.errors import Reason, RejectedError, SealwrightError
from sealwright.services import http
from sealwright.services.verifier_service.figures import Figures
from sealwright.wiring.verifying import VerifyingIssuer, VerifyingSide

OPTIONAL_WITHIN_S = 0.5  # issuers that nobody requires must not hold up what is said of the others
_NOT_KEPT = {"Cache-Control": "no-store"}


class Worker(Protocol):
    """The process whose pages these are."""

    is_draining: bool

    @property
    def figures(self) -> Figures: ...


class HealthPages:
    """Metrics and status are for callers on this machine: on loopback, or over the unix socket."""

    def __init__(self, verifying: VerifyingSide, worker: Worker) -> None:
        self._verifying, self._worker = verifying, worker

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
        """Ready means: it can decide over the tokens of every issuer that is required, and goes on doing so."""
        issuers = self._verifying.issuers
        states = {} if self._worker.is_draining else await decidable(self._verifying)
        is_ready = all(states.get(name, False) for name, one in issuers.items() if one.table.required)
        is_ready = is_ready and not self._worker.is_draining
        headers = _NOT_KEPT if is_ready else {**_NOT_KEPT, "Retry-After": str(http.RETRY_AFTER_S)}
        return http.json_response(
            {"ready": is_ready, "issuers": states}, status=200 if is_ready else 503, headers=headers
        )

    async def metrics(self, request: Request) -> Response:
        _check_near(request)
        body, media_type = await self._worker.figures.page()
        return Response(body, media_type=media_type)

    async def status(self, request: Request) -> Response:
        _check_near(request)
        return http.json_response(self._verifying.status(), headers=_NOT_KEPT)


async def decidable(verifying: VerifyingSide) -> dict[str, bool]:
    """Of each issuer, whether its tokens can be decided over now. Fetches keys where there are none."""
    asked = {name: asyncio.create_task(_can_decide(one)) for name, one in verifying.issuers.items()}
    others = [task for name, task in asked.items() if not verifying.issuers[name].table.required]
    await asyncio.gather(*(task for name, task in asked.items() if verifying.issuers[name].table.required))
    if others:
        await asyncio.wait(others, timeout=OPTIONAL_WITHIN_S)
    return {name: task.done() and task.result() for name, task in asked.items()}


async def _can_decide(issuer: VerifyingIssuer) -> bool:
    try:
        await run_in_threadpool(issuer.check_ready)
    except SealwrightError:
        return False
    return True


def _check_near(request: Request) -> None:
    server = request.scope.get("server")
    by_unix_socket = server is not None and server[1] is None
    if not by_unix_socket and not http.from_loopback(request):
        raise RejectedError(Reason.REQUEST_NOT_FOUND, "there is nothing at this path")
