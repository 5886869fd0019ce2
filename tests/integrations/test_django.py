"""What is special about Django: settings, views of every kind behind handlers of either kind, headers of one name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import binding_parts as parts
import django
import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from http_callers import Answered, call_asgi, call_wsgi

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.integrations.django import Guarded, require

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
    django.setup()

CLOCK = ManualClock()
VERIFIER = sw.Verifier(issuer=parts.ISSUER, audience=parts.AUDIENCE, keys=parts.ISSUER_KEY.public, clock=CLOCK)
OPTIONS = {"verifier": VERIFIER, "realm": "r", "public": ["/open/**"]}
MIDDLEWARE = ["sealwright.integrations.django.Guarded"]


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.sealwright and request.sealwright.subject)


async def awho(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.sealwright and request.sealwright.subject)


def careless(view: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator without functools.wraps."""

    def hiding(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return markcoroutinefunction(hiding) if iscoroutinefunction(view) else hiding


@method_decorator(require("orders:read"), name="dispatch")
class Orders(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return who(request)

    @method_decorator(require("orders:write"))
    def post(self, request: HttpRequest) -> HttpResponse:
        return who(request)


URLS = (
    path("sync", require("orders:read")(who)),
    path("async", require("orders:read")(awho)),
    path("careless", careless(require("orders:read")(who))),
    path("acareless", careless(require("orders:read")(awho))),
    path("class", Orders.as_view()),
    path("both", require("a")(require("b")(who))),
    path("open/door", who),
    path("open/safe", require()(who)),
    path("open/asafe", require()(awho)),
)


@pytest.fixture(params=["wsgi", "asgi"])
def call(request: pytest.FixtureRequest) -> Iterator[Callable[..., Answered]]:
    with override_settings(MIDDLEWARE=MIDDLEWARE, ROOT_URLCONF=URLS, SEALWRIGHT=OPTIONS):
        if request.param == "wsgi":
            wsgi = WSGIHandler()
            yield lambda *asked: call_wsgi(wsgi, *asked)
        else:
            asgi = ASGIHandler()
            yield lambda *asked: call_asgi(asgi, *asked)


def bearing(scope: str = "") -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {parts.token(CLOCK, scope=scope)}")]


@pytest.mark.parametrize("target", ["/sync", "/async", "/careless", "/acareless", "/class"])
def test_a_view_of_any_kind_needs_its_scopes(call: Any, target: str) -> None:
    assert [call("GET", target, bearing(scope)).status for scope in ("", "orders:read")] == [403, 200]


def test_a_method_may_need_more_than_its_class(call: Any) -> None:
    scopes = ("orders:read", "orders:write", "orders:read orders:write")
    assert [call("POST", "/class", bearing(scope)).status for scope in scopes] == [403, 403, 200]


def test_two_decorators_add_up(call: Any) -> None:
    assert [call("GET", "/both", bearing(scope)).status for scope in ("a", "b", "a b")] == [403, 403, 200]
    assert call("GET", "/both", bearing()).all("WWW-Authenticate")[0].endswith('scope="a b"')  # told at once


def test_a_decorated_view_needs_a_token_even_where_the_path_is_public(call: Any) -> None:
    assert call("GET", "/open/door", bearing()).body == b"None"
    for target in ("/open/safe", "/open/asafe"):
        assert call("GET", target).status == 401
        assert call("GET", target, bearing()).body == b"alice"


def test_no_path_is_betrayed_before_the_token_is_good(call: Any) -> None:
    assert call("GET", "/nowhere").status == 401
    assert call("GET", "/nowhere", bearing()).status == 404


def test_middleware_before_it_may_still_change_the_answer() -> None:
    with override_settings(SEALWRIGHT=OPTIONS, ROOT_URLCONF=URLS):
        answer = Guarded(lambda _: HttpResponse())(RequestFactory().get("/nowhere"))
        answer.headers["X-Frame-Options"] = "DENY"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="r"'
    assert ("X-Frame-Options", "DENY") in answer.items()
    assert [name for name, _ in answer.items()].count("WWW-Authenticate") == 1


def test_a_decorated_view_without_the_middleware_lets_nobody_in() -> None:
    with pytest.raises(sw.ConfigurationError, match="MIDDLEWARE"):
        require()(who)(RequestFactory().get("/"))
    with pytest.raises(sw.ConfigurationError, match="MIDDLEWARE"):
        asyncio.run(require()(awho)(AsyncRequestFactory().get("/")))


def test_the_verifier_may_be_named() -> None:
    with override_settings(SEALWRIGHT={"verifier": f"{__name__}.VERIFIER", "realm": "r"}, ROOT_URLCONF=URLS):
        headers = {"Authorization": bearing()[0][1]}
        assert Guarded(who)(RequestFactory().get("/", headers=headers)).content == b"alice"


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        "shop.verifier",
        {"verifier": VERIFIER},
        {"realm": "r"},
        {"verifier": "not.there", "realm": "r"},
        {"verifier": VERIFIER, "realm": "r", "scope": ["orders:read"]},
        {"verifier": VERIFIER, "realm": "r", "scopes": "orders:read"},
    ],
)
def test_settings_that_mean_nothing_are_refused_at_the_start(wrong: Any) -> None:
    with override_settings(SEALWRIGHT=wrong), pytest.raises(sw.ConfigurationError):
        Guarded(who)
