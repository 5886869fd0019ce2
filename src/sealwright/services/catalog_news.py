"""CatalogNews: whether the catalog has changed is asked before a request is answered, and never by the event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from sealwright.errors import SealwrightError
from sealwright.keys.catalog import KeyCatalog

RECENT_S = 0.25  # well below what makes a catalog ask by itself
_NEED_NO_NEWS = ("/healthz", "/metrics")


class CatalogNews:
    """All requests that come meanwhile share one question, so that a silent database holds one thread.

    A failure is raised where the request needs the catalog: it is remembered there, and costs no second wait.
    """

    def __init__(self, app: ASGIApp, catalog: KeyCatalog) -> None:
        self._app = app
        self._catalog = catalog
        self._asking: asyncio.Future[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _NEED_NO_NEWS:
            await self._follow()
        await self._app(scope, receive, send)

    async def _follow(self) -> None:
        if self._catalog.confirmed_age_s() < RECENT_S:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(run_in_threadpool(self._ask))
        await asyncio.shield(self._asking)

    def _ask(self) -> None:
        with suppress(SealwrightError):
            self._catalog.version(within_s=RECENT_S)
