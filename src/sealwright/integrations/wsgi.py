"""Guarded: any WSGI application behind a Guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import quote

from sealwright.integrations.asked import KEPT, Asked
from sealwright.integrations.guard import Guard
from sealwright.integrations.refusal import Refusal

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

NAME = "sealwright.verified"  # no header can be called so in an environ: theirs begin with HTTP_
_AS_SENT = ("RAW_URI", "REQUEST_URI")  # as servers call the target of the request line, which PATH_INFO has decoded


class Guarded:
    """``environ["sealwright.verified"]`` is the Verified; None where the path is public."""

    def __init__(self, app: App, guard: Guard) -> None:
        self._app, self._guard = app, guard

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = asked_of(environ)
        found = None if self._guard.opens(asked) else self._guard.admit(asked)
        if isinstance(found, Refusal):
            start_response(f"{found.status} {found.phrase}", found.lines)
            return [] if asked.method == "HEAD" else [found.body]
        environ[NAME] = found
        return self._app(environ, start_response)


def asked_of(environ: MutableMapping[str, Any]) -> Asked:
    """The request of an environ, which keeps what is decided over it."""
    path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1", "replace"))
    sent = next((environ[name] for name in _AS_SENT if str(environ.get(name, "")).startswith("/")), path)
    certificate = environ.get("SSL_CLIENT_CERT")  # PEM, from servers that end TLS themselves
    return Asked(
        method=environ["REQUEST_METHOD"],
        path=path,
        target=sent.partition("?")[0],
        headers=[(name[5:].replace("_", "-"), value) for name, value in environ.items() if name.startswith("HTTP_")],
        peer=environ.get("REMOTE_ADDR"),
        peer_certificate=certificate.encode("latin-1", "replace") if certificate else None,
        kept=environ.setdefault(KEPT, {}),
    )
