"""The HTTP server of a worker: uvicorn as it has to be behind proxies, with bounds for what strangers send."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sealwright.clock import SYSTEM_CLOCK
from sealwright.services.http import MAXIMUM_BODY_BYTES
from sealwright.wiring.observing import log_config

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# Longer than proxies keep theirs (nginx 60 s, Traefik 90 s, Caddy 2 min, Envoy 1 h): whoever closes first must be the
# one that sends next, or a request meets a connection that is just being closed.
KEEP_ALIVE_S = 3660
STOP_WITHIN_S = 20  # what is still under way then is cut
HEADER_DEADLINE_S = 10.0
MAXIMUM_HEADER_BYTES = 96 * 1024  # a token has 64 KiB at most unless an issuer allows for more
MAXIMUM_SENT_BYTES = 8 * MAXIMUM_BODY_BYTES  # of a body as it is sent: the smallest chunks take six times their content
_TICKS_PER_S = 10


class Application(Protocol):
    """What the server tells its application."""

    is_draining: bool
    drain_s: float

    def refuse_malformed(self) -> None:
        """A request came that is not HTTP, and was answered with 400 or 431."""


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 with bounded headers and bodies, and without trailers."""

    unfinished_bytes = body_bytes = 0
    unfinished_since: float | None = None  # when a look at it first found it so

    @property
    def reads_headers(self) -> bool:
        """Whether the headers of a request have begun and not ended, or nothing ever came."""
        return self.cycle is None or self.cycle.scope is not self.scope

    @property
    def reads_body(self) -> bool:
        return self.cycle is not None and not self.reads_headers and self.cycle.more_body

    def data_received(self, data: bytes) -> None:
        self.unfinished_bytes += len(data)
        self.body_bytes += len(data) if self.reads_body else 0
        if self.body_bytes > MAXIMUM_SENT_BYTES:
            self._refuse(b"413 Content Too Large")
            return
        if self.unfinished_bytes > MAXIMUM_HEADER_BYTES and self._has_large_headers(data):
            self._refuse(b"431 Request Header Fields Too Large")
            return
        super().data_received(data)
        if not self.reads_headers:
            self.unfinished_bytes, self.unfinished_since = 0, None

    def on_headers_complete(self) -> None:
        """What follows a body is no header of its request, and never becomes one (RFC 9110 §6.5.1)."""
        super().on_headers_complete()
        self.headers = []

    def on_message_complete(self) -> None:
        self.body_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Nobody waits for the rest of a body that nobody reads."""
        if self.cycle.response_complete and self.cycle.more_body:
            self.transport.close()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 the text says nothing that the status does not
        self._refuse(b"400 Bad Request")

    def _unsupported_upgrade_warning(self) -> None:
        """What follows a request for another protocol is not HTTP to the parser: answered, the connection ends."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def is_late(self, now: float) -> bool:
        """Whether headers have been on their way for too long. Asked once a second, so that requests pay nothing."""
        if self.reads_headers and self.unfinished_since is None:
            self.unfinished_since = now
        longest_s = KEEP_ALIVE_S if self.scope is None else HEADER_DEADLINE_S
        return self.reads_headers and now - (self.unfinished_since or now) > longest_s

    def _has_large_headers(self, data: bytes) -> bool:
        return not self.reads_body and b"\r\n\r\n" not in data[:MAXIMUM_HEADER_BYTES]

    def _refuse(self, status: bytes) -> None:
        if not self.transport.is_closing():
            self.app.refuse_malformed()
            self.transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
            self.transport.close()


class DrainingServer(uvicorn.Server):
    """Told to stop, its application is not ready at once, and answers for as long as it says before anything closes."""

    _until = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = getattr(self.config, "loaded_app", None)
        if app is not None and not self.should_exit:
            app.is_draining, self._until = True, SYSTEM_CLOCK.monotonic() + app.drain_s
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        stops = await super().on_tick(counter)
        if counter % _TICKS_PER_S == 0:
            self._end_late()
        return stops and (self.force_exit or SYSTEM_CLOCK.monotonic() >= self._until)

    def _end_late(self) -> None:
        now = SYSTEM_CLOCK.monotonic()
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedHttp) and connection.is_late(now):
                connection.transport.close()


def server_config(application: Callable[[], ASGIApp], workers: int) -> uvicorn.Config:
    """The application is made by each worker for itself."""
    options: dict[str, Any] = {
        "factory": True,
        "interface": "asgi3",
        "http": BoundedHttp,
        "ws": "none",
        "lifespan": "on",
        "log_config": _quiet_log_config(),
        "access_log": False,
        "proxy_headers": False,  # what X-Forwarded-For says must never be the peer
        "server_header": False,
        "date_header": False,
        "backlog": 1024,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": STOP_WITHIN_S,
        "workers": workers,
    }
    return uvicorn.Config(application, **options)


def _quiet_log_config() -> dict[str, Any]:
    """Without a line for each request that is no HTTP: those are counted, and logged with a limit."""
    config = log_config()
    config["loggers"]["uvicorn.error"]["level"] = "ERROR"
    return config
