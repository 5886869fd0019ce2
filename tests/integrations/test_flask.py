"""What is special about Flask: decorators that hide others, views of every kind, and what runs before a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import binding_parts as parts
import flask
import pytest
from flask.views import MethodView

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.integrations.flask import Guarded, require
from sealwright.integrations.guard import Guard

CLOCK = ManualClock()
GUARD = Guard(
    sw.Verifier(issuer=parts.ISSUER, audience=parts.AUDIENCE, keys=parts.ISSUER_KEY.public, clock=CLOCK),
    realm="r",
    public=["/open/**"],
)


def headers(scope: str = "") -> dict[str, str]:
    return {"Authorization": f"Bearer {parts.token(CLOCK, scope=scope)}"}


def careless(view: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator without functools.wraps."""

    def hiding(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return hiding


class Orders(MethodView):
    decorators = [require("orders:read")]

    def get(self) -> str:
        return str(flask.g.sealwright.subject)

    @require("orders:write")
    def post(self) -> str:
        return str(flask.g.sealwright.subject)


@pytest.fixture
def app() -> flask.Flask:
    made = flask.Flask("orders")
    made.before_request(lambda: made.extensions.setdefault("reached", []).append(1))
    Guarded(GUARD).init_app(made)
    made.add_url_rule("/orders", view_func=Orders.as_view("orders"))
    made.add_url_rule("/careless", "careless", careless(require("orders:read")(lambda: "in")))
    made.add_url_rule("/both", "both", require("a")(require("b")(lambda: "in")))
    made.add_url_rule("/open/door", "door", lambda: str(flask.g.sealwright))
    made.add_url_rule("/open/safe", "safe", require()(lambda: str(flask.g.sealwright.subject)))
    made.add_url_rule("/fails", "fails", lambda: 1 / 0)

    async def later() -> str:
        return str(flask.g.sealwright.subject)

    made.add_url_rule("/later", "later", require("orders:read")(later))
    return made


def status(app: flask.Flask, path: str, scope: str, method: str = "GET") -> int:
    return app.test_client().open(path, method=method, headers=headers(scope)).status_code


@pytest.mark.parametrize("path", ["/careless", "/orders", "/later"])
def test_a_view_of_any_kind_needs_its_scopes(app: flask.Flask, path: str) -> None:
    assert [status(app, path, scope) for scope in ("", "orders:read")] == [403, 200]


def test_a_method_may_need_more_than_its_class(app: flask.Flask) -> None:
    scopes = ("orders:read", "orders:write", "orders:read orders:write")
    assert [status(app, "/orders", scope, "POST") for scope in scopes] == [403, 403, 200]


def test_two_decorators_add_up(app: flask.Flask) -> None:
    assert [status(app, "/both", scope) for scope in ("a", "b", "a b")] == [403, 403, 200]
    refused = app.test_client().get("/both", headers=headers())
    assert refused.headers["WWW-Authenticate"].endswith('scope="a b"')  # told at once


def test_a_decorated_view_needs_a_token_even_where_the_path_is_public(app: flask.Flask) -> None:
    client = app.test_client()
    assert client.get("/open/door", headers=headers()).text == "None"
    assert client.get("/open/safe").status_code == 401
    assert client.get("/open/safe", headers=headers()).text == "alice"


@pytest.mark.parametrize("path", ["/orders", "/nowhere", "/static/app.js"])
def test_nothing_runs_and_no_path_is_betrayed_before_the_token_is_good(app: flask.Flask, path: str) -> None:
    assert app.test_client().get(path).status_code == 401
    assert app.test_client().delete(path).status_code == 401
    assert "reached" not in app.extensions


def test_a_good_token_for_no_path_is_404(app: flask.Flask) -> None:
    assert status(app, "/nowhere", "") == 404


def test_errors_of_the_application_stay_its_own(app: flask.Flask) -> None:
    assert status(app, "/fails", "") == 500


def test_a_decorator_without_the_extension_lets_nobody_in() -> None:
    app = flask.Flask("orders")
    app.add_url_rule("/", "index", require()(lambda: "in"))
    assert status(app, "/", "") == 500


def test_scopes_that_no_token_can_have_are_refused_where_they_are_written() -> None:
    with pytest.raises(sw.ConfigurationError):
        require("two scopes")
