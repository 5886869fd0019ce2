"""The three services as one application: what ``sealwright up`` serves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from sealwright.errors import ConfigurationError, Reason, RejectedError, SealwrightError
from sealwright.services import http
from sealwright.services.access_facts import AccessFacts
from sealwright.services.credentials import METRICS_READ, CredentialError, Credentials
from sealwright.services.denials import Denials
from sealwright.services.jwks_service import app as jwks_pages
from sealwright.services.key_service import app as key_api
from sealwright.services.key_service import (
    oauth_routes,
    poll_routes,
    signing_openapi,
    signing_routes,
    token_endpoint,
)
from sealwright.services.key_service.client_authentication import ClientAuthentication
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.key_service.poll_front import PollFront
from sealwright.services.key_service.signing_front import SigningFront
from sealwright.services.oauth_errors import OAuthError
from sealwright.services.verifier_service import app as decisions
from sealwright.trust.verifier import Verifier
from sealwright.wiring.single_process import SingleProcess

Lifespan = Callable[[Any], contextlib.AbstractAsyncContextManager[None]]


def build_app(process: SingleProcess, operations: KeyOperations, *, lifespan: Lifespan | None = None) -> Starlette:
    """Open to everyone: the well-known pages, health and verify. Metrics and OpenAPI: loopback, or a credential."""
    credentials = Credentials(process.operators(), AccessFacts(process.signing.catalog))
    handlers = _handlers(process)
    key_app = key_api.build_app(operations, credentials)
    for kind, handler in handlers.items():
        key_app.add_exception_handler(kind, handler)
    front, clients = SigningFront(process), ClientAuthentication(process)
    routes: list[BaseRoute] = [
        *jwks_pages.WellKnown(process.publications, process.statements, process.settings.at_url()).routes(),
        *decisions.DecisionEndpoint(_named_audience(process)).routes(),
        *signing_routes.SigningRoutes(front, credentials).routes(),
        *oauth_routes.OAuthRoutes(operations, front, credentials, clients).routes(),
        *token_endpoint.TokenEndpoint(process, front, clients).routes(),
        *poll_routes.PollRoutes(PollFront(process), credentials).routes(),
        *_OperatorPages(process, credentials, key_app.openapi).routes(),
        Mount("/", key_app),
    ]
    return Starlette(
        routes=routes, middleware=[Middleware(http.BodyLimit)], exception_handlers=handlers, lifespan=lifespan
    )


class _OperatorPages:
    """Health, metrics and the API description."""

    def __init__(self, process: SingleProcess, credentials: Credentials, openapi: Callable[[], dict[str, Any]]) -> None:
        self._process = process
        self._credentials = credentials
        self._openapi = openapi

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/healthz", self.alive),
            Route("/readyz", self.ready),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.openapi),
        ]

    async def alive(self, _: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def ready(self, _: Request) -> Response:
        """Ready means: every configured issuer has an active key, and the audit can be written."""
        try:
            await run_in_threadpool(self._check_ready)
        except SealwrightError as error:
            return http.problem(error, status=503)
        return PlainTextResponse("ready\n")

    async def metrics(self, request: Request) -> Response:
        await self._check_near(request)
        body, media_type = self._process.observing.metrics.exposition()
        return Response(body, media_type=media_type)

    async def openapi(self, request: Request) -> Response:
        await self._check_near(request)
        described = self._openapi()
        plain = (jwks_pages, decisions, signing_openapi, oauth_routes, token_endpoint, poll_routes)
        paths = {path: described for pages in plain for path, described in pages.openapi_paths().items()}
        security = {"bearer": {"type": "http", "scheme": "bearer"}, "client": {"type": "http", "scheme": "basic"}}
        components = {**described.get("components", {}), "securitySchemes": security}
        page = {**described, "paths": {**paths, **described["paths"]}, "components": components}
        return http.json_response(page)

    def _check_ready(self) -> None:
        for issuer in self._process.publications.issuers():
            self._process.signing.lifecycle.active(issuer)
        self._process.signing.catalog.check_writable()

    async def _check_near(self, request: Request) -> None:
        if not http.from_loopback(request):
            await self._credentials.check(request, METRICS_READ)


def _handlers(process: SingleProcess) -> dict[Any, http.Handler]:
    burst, per_s = process.settings.denied_calls_burst, process.settings.denied_calls_per_s
    denials = Denials(process.signing.catalog, process.clock, burst=burst, per_s=per_s)
    return {
        **http.EXCEPTION_HANDLERS,
        CredentialError: denials.on_credential_error,
        OAuthError: denials.on_oauth_error,
        SealwrightError: denials.audited(http.on_sealwright_error),
        RequestValidationError: denials.audited(key_api.on_invalid_request),
    }


def _named_audience(process: SingleProcess) -> decisions.VerifierOf:
    def verifier_of(audience: str | None) -> Verifier:
        if audience is None:
            raise RejectedError(Reason.REQUEST_MALFORMED, 'the request lacks the member "audience": say who you are')
        try:
            return process.verifier(audience)
        except ConfigurationError as error:  # an empty or wildcard audience would accept anybody's tokens
            raise RejectedError(Reason.REQUEST_MALFORMED, error.message) from error

    return verifier_of
