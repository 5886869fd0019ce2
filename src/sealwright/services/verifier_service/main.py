"""sealwright-verifier: decides over tokens, holds no keys and no driver that could reach any."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sealwright.errors import Reason, RejectedError, SealwrightError
from sealwright.services import http
from sealwright.services.listening import listening
from sealwright.services.verifier_service.app import DecisionEndpoint
from sealwright.settings import VerifierSettings
from sealwright.trust.verifier import Verifier
from sealwright.wiring.observing import Observing, build_observing, log_config
from sealwright.wiring.verifying import VerifyingSide, build_verifying


def main() -> None:
    """Read SEALWRIGHT_VERIFIER_*, serve until told to stop. Exits with 6 when the settings are wrong."""
    try:
        serve(VerifierSettings.load())
    except SealwrightError as error:
        sys.stderr.write(f"sealwright-verifier: {error}\n")
        sys.exit(error.exit_code)


def serve(settings: VerifierSettings) -> None:
    """Raises ConfigurationError ``settings.*`` before it listens."""
    with listening(settings.host, settings.port, setting="SEALWRIGHT_VERIFIER_PORT") as listener:
        observing = build_observing({settings.issuer}, logs=sys.stderr)
        app = build_app(build_verifying(settings, observing.observer), settings.audience, observing)
        config = uvicorn.Config(app, log_config=log_config(), server_header=False)
        with suppress(KeyboardInterrupt):  # raised once more after an orderly stop
            uvicorn.Server(config).run(sockets=[listener])


def build_app(verifying: VerifyingSide, audience: str, observing: Observing) -> Starlette:
    """Decisions for one audience; the caller may name it, and no other."""

    def verifier_of(named: str | None) -> Verifier:
        if named not in (None, audience):
            raise RejectedError(Reason.REQUEST_MALFORMED, "this verifier decides for another audience")
        return verifying.verifier

    routes = [*DecisionEndpoint(verifier_of).routes(), *_health_routes(verifying, observing)]
    return Starlette(
        routes=routes,
        middleware=[Middleware(http.BodyLimit)],
        exception_handlers=http.EXCEPTION_HANDLERS,
        lifespan=_closing(verifying.verifier),
    )


def _health_routes(verifying: VerifyingSide, observing: Observing) -> list[Route]:
    async def alive(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def ready(_: Request) -> Response:
        await run_in_threadpool(verifying.check_ready)
        return PlainTextResponse("ready\n")

    async def metrics(request: Request) -> Response:
        if not http.from_loopback(request):
            raise RejectedError(Reason.REQUEST_NOT_FOUND, "there is nothing at this path")
        body, media_type = observing.metrics.exposition()
        return Response(body, media_type=media_type)

    return [Route("/healthz", alive), Route("/readyz", ready), Route("/metrics", metrics)]


def _closing(verifier: Verifier) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        verifier.close()

    return lifespan
