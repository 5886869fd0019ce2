"""Guarded: a Flask extension that guards every route, and the decorator that names the scopes of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request

from sealwright.errors import ConfigurationError, Reason
from sealwright.integrations.guard import Guard, scopes_of
from sealwright.integrations.refusal import Refusal
from sealwright.integrations.wsgi import asked_of

NAME = "sealwright"  # of the extension, and in g
SCOPES = "sealwright_scopes"  # of a view function
View = TypeVar("View", bound=Callable[..., Any])


class Guarded:
    """``g.sealwright`` is the Verified; None where the path is public."""

    def __init__(self, guard: Guard, app: Flask | None = None) -> None:
        self._guard = guard
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Guards all of ``app``, before anything else that it does before a request."""
        app.extensions[NAME] = self._guard
        app.before_request_funcs.setdefault(None, []).insert(0, self._check)

    def _check(self) -> Response | None:
        if self._guard.opens(asked_of(request.environ)):
            g.sealwright = None
            return None
        view = current_app.view_functions.get(request.endpoint or "")
        return _admit(self._guard, getattr(view, SCOPES, frozenset()))


def require(*scopes: str) -> Callable[[View], View]:
    """The scopes that a view needs beside those of the guard; a token is needed even where the path is public."""
    needed = scopes_of(scopes)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            guard = current_app.extensions.get(NAME)
            if guard is None:
                raise ConfigurationError(Reason.SETTINGS_INVALID, "Guarded was not given this Flask application")
            return _admit(guard, needed) or current_app.ensure_sync(view)(*args, **kwargs)

        setattr(guarded, SCOPES, needed | getattr(view, SCOPES, frozenset()))  # so that one decision has them all
        return guarded  # type: ignore[return-value]

    return decorate


def _admit(guard: Guard, scopes: frozenset[str]) -> Response | None:
    found = guard.admit(asked_of(request.environ), scopes)
    if isinstance(found, Refusal):
        return Response(found.body, found.status, found.lines)
    g.sealwright = found
    return None
