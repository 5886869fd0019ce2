"""Guarded: any ASGI application behind a Guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote

from sealwright.errors import ConfigurationError, Reason
from sealwright.integrations.asked import KEPT, Asked
from sealwright.integrations.guard import Guard
from sealwright.integrations.refusal import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NAME = "sealwright"
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013  # RFC 6455 §7.4.1 and its registry
_DENIAL = "websocket.http.response"  # the extension by which a server answers a handshake with more than 403


class Guarded:
    """``scope["sealwright"]`` and ``scope["state"]["sealwright"]`` are the Verified; None where the path is public."""

    def __init__(self, app: App, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        asked = asked_of(scope)
        found = None if self._guard.opens(asked) else await self._guard.aadmit(asked)
        if isinstance(found, Refusal):
            await _refuse(found, scope, send)
            return
        scope.setdefault("state", {})[NAME] = found
        await self._app({**scope, NAME: found}, receive, send)


def asked_of(scope: Scope) -> Asked:
    """The request of a scope, which keeps what is decided over it. Raises ConfigurationError for a strange type."""
    if scope["type"] not in ("http", "websocket"):
        raise ConfigurationError(Reason.SETTINGS_INVALID, "only http and websocket can be guarded")
    path = quote(scope["path"], errors="surrogatepass")
    target, client = scope.get("raw_path"), scope.get("client")
    return Asked(
        method=scope.get("method", "GET"),
        path=path,
        target=path if target is None else target.decode("latin-1"),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        peer=client[0] if client else None,
        peer_certificate=_certificate((scope.get("extensions") or {}).get("tls") or {}),
        kept=scope.setdefault(KEPT, {}),
    )


def _certificate(tls: Mapping[str, Any]) -> bytes | None:
    """The leaf comes first in the TLS extension's chain."""
    chain = tls.get("client_cert_chain")
    return chain[0].encode("latin-1", "replace") if chain and not tls.get("client_cert_error") else None


async def _refuse(refusal: Refusal, scope: Scope, send: Send) -> None:
    """A handshake is answered before it is accepted, in full where the server can."""
    kind = "http.response"
    if scope["type"] == "websocket":
        if _DENIAL not in (scope.get("extensions") or {}):
            code = TRY_AGAIN_LATER if refusal.status == 503 else POLICY_VIOLATION
            await send({"type": "websocket.close", "code": code})
            return
        kind = _DENIAL
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in refusal.lines]
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": lines})
    await send({"type": f"{kind}.body", "body": refusal.body})
