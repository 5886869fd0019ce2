"""The same small application in each framework: every new integration is tested by being listed here."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import django
import flask
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.test import override_settings
from django.urls import path
from fastapi import Depends, FastAPI, Security
from function_events import call_function, first_event, second_event
from http_callers import Answered, call_asgi, call_wsgi

from sealwright.integrations import asgi, serverless, wsgi
from sealwright.integrations import django as for_django
from sealwright.integrations import fastapi as for_fastapi
from sealwright.integrations import flask as for_flask
from sealwright.integrations.guard import Guard
from sealwright.trust.decision import Verified
from sealwright.trust.verifier import Verifier

Call = Callable[..., Answered]
Build = Callable[..., contextlib.AbstractContextManager[Call]]
WRITE = "orders:write"  # what /write needs, where routes name scopes

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
    django.setup()


def seen(found: Verified | None) -> dict[str, Any]:
    return {"subject": None if found is None else found.subject}


@contextlib.contextmanager
def on_asgi(verifier: Verifier, **options: Any) -> Iterator[Call]:
    async def app(scope: Any, _: Any, send: Any) -> None:
        assert scope["state"]["sealwright"] is scope["sealwright"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(seen(scope["sealwright"])).encode()})

    guarded = asgi.Guarded(app, Guard(verifier, **options))
    yield lambda *asked, **more: call_asgi(guarded, *asked, **more)


@contextlib.contextmanager
def on_wsgi(verifier: Verifier, **options: Any) -> Iterator[Call]:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(seen(environ["sealwright.verified"])).encode()]

    guarded = wsgi.Guarded(app, Guard(verifier, **options))
    yield lambda *asked, **more: call_wsgi(guarded, *asked, **more)


@contextlib.contextmanager
def on_fastapi(verifier: Verifier, **options: Any) -> Iterator[Call]:
    """A route is public by not depending on the guard."""
    bearer = for_fastapi.Bearer(Guard(verifier, **options))
    app = FastAPI()
    writing, reading = Security(bearer, scopes=[WRITE]), Depends(bearer)
    methods = ["GET", "HEAD", "OPTIONS", "POST"]

    @app.api_route("/healthz", methods=["GET"])
    async def health() -> dict[str, Any]:
        return seen(None)

    @app.api_route("/write", methods=methods)
    async def write(found: Verified = writing) -> dict[str, Any]:
        return seen(found)

    @app.api_route("/{rest:path}", methods=methods)
    def orders(found: Verified = reading) -> dict[str, Any]:
        return seen(found)

    yield lambda *asked, **more: call_asgi(app, *asked, **more)


@contextlib.contextmanager
def on_flask(verifier: Verifier, **options: Any) -> Iterator[Call]:
    app = flask.Flask("orders")
    for_flask.Guarded(Guard(verifier, **options), app)
    methods = ["GET", "HEAD", "OPTIONS", "POST"]

    @app.route("/write", methods=methods)
    @for_flask.require(WRITE)
    def write() -> dict[str, Any]:
        return seen(flask.g.sealwright)

    @app.route("/healthz")
    @app.route("/<path:rest>", methods=methods)
    def orders(rest: str = "") -> dict[str, Any]:
        return seen(flask.g.sealwright)

    yield lambda *asked, **more: call_wsgi(app, *asked, **more)


def orders(request: HttpRequest, rest: str = "") -> JsonResponse:
    return JsonResponse(seen(request.sealwright))


@for_django.require(WRITE)
def write(request: HttpRequest) -> JsonResponse:
    return JsonResponse(seen(request.sealwright))


async def aorders(request: HttpRequest, rest: str = "") -> JsonResponse:
    return JsonResponse(seen(request.sealwright))


@for_django.require(WRITE)
async def awrite(request: HttpRequest) -> JsonResponse:
    return JsonResponse(seen(request.sealwright))


SYNC = (path("write", write), path("<path:rest>", orders))
ASYNC = (path("write", awrite), path("<path:rest>", aorders))


@contextlib.contextmanager
def on_django(verifier: Verifier, **options: Any) -> Iterator[Call]:
    with in_django(SYNC, verifier, **options):
        app = WSGIHandler()
        yield lambda *asked, **more: call_wsgi(app, *asked, **more)


@contextlib.contextmanager
def on_async_django(verifier: Verifier, **options: Any) -> Iterator[Call]:
    with in_django(ASYNC, verifier, **options):
        app = ASGIHandler()
        yield lambda *asked, **more: call_asgi(app, *asked, **more)


@contextlib.contextmanager
def in_django(urls: tuple[Any, ...], verifier: Verifier, **options: Any) -> Iterator[None]:
    middleware = ["sealwright.integrations.django.Guarded"]
    guarded = {"verifier": verifier, **options}
    with override_settings(MIDDLEWARE=middleware, ROOT_URLCONF=urls, SEALWRIGHT=guarded):
        yield


def on_function(event_of: Callable[..., dict[str, Any]]) -> Build:
    @contextlib.contextmanager
    def built(verifier: Verifier, **options: Any) -> Iterator[Call]:
        @serverless.guarded(Guard(verifier, **options))
        def handler(_: Any, __: Any, found: Verified | None) -> dict[str, Any]:
            return {"statusCode": 200, "body": json.dumps(seen(found))}

        yield lambda *asked, **more: call_function(handler, event_of, *asked, **more)

    return built


FRAMEWORKS: dict[str, Build] = {
    "asgi": on_asgi,
    "wsgi": on_wsgi,
    "fastapi": on_fastapi,
    "flask": on_flask,
    "django": on_django,
    "django-async": on_async_django,
    "function-1": on_function(first_event),
    "function-2": on_function(second_event),
}
WITHOUT_ROUTES = ("asgi", "wsgi", "function-1", "function-2")
WITH_ROUTES = {name: FRAMEWORKS[name] for name in FRAMEWORKS if name not in WITHOUT_ROUTES}
