"""Guarded: Django middleware that guards every view, sync and async, and the decorator that names the scopes of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.urls import Resolver404, resolve  # type: ignore[import-untyped]
from django.utils.module_loading import import_string  # type: ignore[import-untyped]

from sealwright.errors import ConfigurationError, Reason
from sealwright.integrations import asgi, wsgi
from sealwright.integrations.asked import Asked
from sealwright.integrations.guard import Guard, scopes_of
from sealwright.integrations.refusal import Refusal
from sealwright.trust.decision import Verified

GUARD = "sealwright_guard"  # of a request
SCOPES = "sealwright_scopes"  # of a view
CHALLENGE = "WWW-Authenticate"
View = TypeVar("View", bound=Callable[..., Any])


class Guarded:
    """``request.sealwright`` is the Verified; None where the path is public.

    The setting ``SEALWRIGHT`` has the options of Guard, with the ``verifier`` or its dotted name. Raises
    ConfigurationError ``settings.invalid``.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._guard = _guard_of(getattr(settings, "SEALWRIGHT", None))
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self._acall(request)
        asked = self._asked(request)
        found = None if self._guard.opens(asked) else self._guard.admit(asked, _scopes(request))
        return _refused(request, found) or self._get_response(request)

    async def _acall(self, request: HttpRequest) -> Any:
        asked = self._asked(request)
        found = None if self._guard.opens(asked) else await self._guard.aadmit(asked, _scopes(request))
        return _refused(request, found) or await self._get_response(request)

    def _asked(self, request: HttpRequest) -> Asked:
        setattr(request, GUARD, self._guard)
        return _asked(request)


def require(*scopes: str) -> Callable[[View], View]:
    """The scopes that a view needs beside those of the guard; a token is needed even where the path is public."""
    needed = scopes_of(scopes)

    def decorate(view: View) -> View:
        guarded = _awaiting(view, needed) if iscoroutinefunction(view) else _calling(view, needed)
        setattr(guarded, SCOPES, needed | getattr(view, SCOPES, frozenset()))
        return guarded  # type: ignore[return-value]

    return decorate


def _calling(view: Callable[..., Any], needed: frozenset[str]) -> Callable[..., Any]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        found = _guard(request).admit(_asked(request), needed)
        return _refused(request, found) or view(request, *args, **kwargs)

    return guarded


def _awaiting(view: Callable[..., Any], needed: frozenset[str]) -> Callable[..., Any]:
    @wraps(view)
    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        found = await _guard(request).aadmit(_asked(request), needed)
        return _refused(request, found) or await view(request, *args, **kwargs)

    return guarded


def _guard_of(options: Any) -> Guard:
    if not isinstance(options, dict) or not {"verifier", "realm"} <= options.keys():
        raise _wrong('the setting SEALWRIGHT names at least the "verifier" and the "realm"')
    verifier = options["verifier"]
    try:
        return Guard(**{**options, "verifier": import_string(verifier) if isinstance(verifier, str) else verifier})
    except (ImportError, TypeError) as error:
        raise _wrong("the setting SEALWRIGHT has an unknown option, or names a verifier that is not there") from error


def _guard(request: HttpRequest) -> Guard:
    guard = getattr(request, GUARD, None)
    if not isinstance(guard, Guard):
        raise _wrong("sealwright.integrations.django.Guarded is not among the MIDDLEWARE")
    return guard


def _asked(request: HttpRequest) -> Asked:
    return asgi.asked_of(request.scope) if hasattr(request, "scope") else wsgi.asked_of(request.META)


def _scopes(request: HttpRequest) -> frozenset[str]:
    """Those of the view that the path leads to, so that one decision has them all."""
    try:
        view = resolve(request.path_info, getattr(request, "urlconf", None)).func
    except Resolver404:
        return frozenset()
    return getattr(view, SCOPES, frozenset())


def _refused(request: HttpRequest, found: Verified | Refusal | None) -> HttpResponse | None:
    if isinstance(found, Refusal):
        return _Answer(found)
    request.sealwright = found
    return None


class _Answer(HttpResponse):  # type: ignore[misc]
    """Django keeps one header of each name, and asks for ``items`` when it sends them."""

    def __init__(self, refusal: Refusal) -> None:
        self._lines = refusal.lines
        super().__init__(refusal.body, status=refusal.status, headers=dict(self._lines))

    def items(self) -> list[tuple[str, str]]:
        several = [line for line in self._lines if line[0] == CHALLENGE]
        return [*((name, value) for name, value in super().items() if name != CHALLENGE), *several]


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
