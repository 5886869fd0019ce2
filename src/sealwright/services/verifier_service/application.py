"""The application over one side: what proxies ask as raw ASGI, in front of the pages."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from sealwright.config.verifier_tables import EdgeTable
from sealwright.services import http
from sealwright.services.verifier_service.app import DecisionEndpoint
from sealwright.services.verifier_service.forward_auth import ForwardAuth
from sealwright.services.verifier_service.health import HealthPages, Worker
from sealwright.wiring.verifying import VerifyingSide


def build_app(verifying: VerifyingSide, worker: Worker, edge: EdgeTable) -> ASGIApp:
    """Decisions for the audiences of the file; the caller may name one of them, and no other. It starts nothing."""
    pages, proxies = _pages(verifying, worker), ForwardAuth(verifying, edge)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked_by_proxy = scope["type"] == "http" and proxies.answers(scope["path"])
        await (proxies if asked_by_proxy else pages)(scope, receive, send)

    return app


def _pages(verifying: VerifyingSide, worker: Worker) -> Starlette:
    decisions = DecisionEndpoint(verifying.verifier_of, verifying.identity_of, routes=verifying.has_routes)
    return Starlette(
        routes=[*decisions.routes(), *HealthPages(verifying, worker).routes()],
        middleware=[Middleware(http.BodyLimit)],
        exception_handlers=http.EXCEPTION_HANDLERS,
    )
