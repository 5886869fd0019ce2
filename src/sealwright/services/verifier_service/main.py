"""sealwright-verifier: decides over tokens, holds no keys and no driver that could reach any."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from sealwright.config.verifier_file import check_file, schema
from sealwright.config.verifier_tables import EdgeTable
from sealwright.errors import SealwrightError
from sealwright.services import http
from sealwright.services.listening import listening
from sealwright.services.verifier_service.app import DecisionEndpoint
from sealwright.services.verifier_service.forward_auth import ForwardAuth
from sealwright.services.verifier_service.health import HealthPages
from sealwright.settings import VerifierSettings
from sealwright.wiring.observing import Observing, build_observing, log_config
from sealwright.wiring.verifying import VerifyingSide, build_verifying, read_settings

EXIT_WRONG = 6


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop, or check a file. Exits with 6 when the settings are wrong."""
    given = _parser().parse_args(arguments)
    if given.schema:
        sys.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
        return
    try:
        settings = VerifierSettings.load(config=given.config)
        sys.exit(check(settings)) if given.check else serve(settings)
    except SealwrightError as error:
        sys.stderr.write(f"sealwright-verifier: {error}\n")
        sys.exit(error.exit_code)


def check(settings: VerifierSettings) -> int:
    """Print every fault with its place; then, without any, build what would run. No keys are fetched."""
    if settings.config is not None:
        read = check_file(settings.config)
        sys.stdout.writelines(f"{read.written(fault)}\n" for fault in read.faults)
        if any(not fault.warning for fault in read.faults):
            return EXIT_WRONG
    file, folder = read_settings(settings)
    build_verifying(file, folder, build_observing(file.issuers.keys()).observer).close()
    sys.stdout.write(f"valid: {', '.join(file.issuers)}\n")
    return 0


def serve(settings: VerifierSettings) -> None:
    """Raises ConfigurationError ``settings.*`` before it listens."""
    file, folder = read_settings(settings)
    host = file.service.host if settings.host is None else settings.host
    port = file.service.port if settings.port is None else settings.port
    with listening(host, port, setting="SEALWRIGHT_VERIFIER_PORT") as listener:
        observing = build_observing(file.issuers.keys(), logs=sys.stderr)
        verifying = build_verifying(file, folder, observing.observer)
        if (store := verifying.store) is not None:
            observing.metrics.watch_replay_stores(lambda: [store.figures()])
        app = build_app(verifying, observing, file.edge)
        config = uvicorn.Config(app, log_config=log_config(), server_header=False)
        with suppress(KeyboardInterrupt):  # raised once more after an orderly stop
            uvicorn.Server(config).run(sockets=[listener])


def build_app(verifying: VerifyingSide, observing: Observing, edge: EdgeTable) -> ASGIApp:
    """Decisions for the audiences of the file; the caller may name one of them, and no other."""
    pages, proxies = _pages(verifying, observing), ForwardAuth(verifying, edge)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked_by_proxy = scope["type"] == "http" and proxies.answers(scope["path"])
        await (proxies if asked_by_proxy else pages)(scope, receive, send)

    return app


def _pages(verifying: VerifyingSide, observing: Observing) -> Starlette:
    decisions = DecisionEndpoint(verifying.verifier_of, verifying.identity_of, routes=verifying.has_routes)
    return Starlette(
        routes=[*decisions.routes(), *HealthPages(verifying, observing).routes()],
        middleware=[Middleware(http.BodyLimit)],
        exception_handlers=http.EXCEPTION_HANDLERS,
        lifespan=_running(verifying),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sealwright-verifier",
        description="Decide over tokens. Without a file, SEALWRIGHT_VERIFIER_* say for whom.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="verifier.toml (SEALWRIGHT_VERIFIER_CONFIG)")
    parser.add_argument("--check", action="store_true", help="say everything that is wrong with the file, and stop")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of the file, and stop")
    return parser


def _running(verifying: VerifyingSide) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        verifying.start()
        yield
        verifying.close()

    return lifespan
