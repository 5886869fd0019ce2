"""A real authorization server and two resources on loopback, each well or badly behaved, that count who asks."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote_plus

PATIENCE_S = 20.0


class TokenServer:
    """``/token`` gives ``token-1``, ``token-2`` …; ``/api`` takes what is in ``good``; ``elsewhere`` is another."""

    def __init__(self) -> None:
        self.answer: dict[str, object] | bytes | None = None  # in place of a token
        self.status = 200
        self.lifetime_s: object = 3600
        self.pages: dict[str, dict[str, object]] = {}
        self.good: set[str] = set()
        self.forms: list[dict[str, str]] = []
        self.credentials: list[str | None] = []
        self.shown: list[str | None] = []  # the Authorization headers that the resource saw
        self.shown_elsewhere: list[str | None] = []
        self.bodies: list[bytes] = []
        self.redirect_to, self.redirected = "", 0
        self.in_flight = self.most_in_flight = 0
        self.gate = threading.Event()
        self.gate.set()
        self.changed = threading.Condition()
        self._listeners = [_Listener(("127.0.0.1", 0), _Handler) for _ in range(2)]
        for listener in self._listeners:
            listener.world = self
        self.origin, self.elsewhere = (f"http://127.0.0.1:{one.server_address[1]}" for one in self._listeners)
        self.token_url, self.api_url = f"{self.origin}/token", f"{self.origin}/api"
        self._threads = [
            threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}) for one in self._listeners
        ]
        for thread in self._threads:
            thread.start()

    @property
    def fetches(self) -> int:
        return len(self.forms)

    def wait_for_fetches(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.fetches >= count, PATIENCE_S), "nobody asked for a token"

    def issue(self, form: dict[str, str], credential: str | None) -> tuple[int, bytes]:
        with self.changed:
            self.forms.append(form)
            self.credentials.append(credential)
            number = len(self.forms)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.changed.notify_all()
        self.gate.wait(PATIENCE_S)
        with self.changed:
            self.in_flight -= 1
        if self.answer is not None:
            return self.status, self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        self.good = {f"token-{number}"}
        lifetime = {} if self.lifetime_s is None else {"expires_in": self.lifetime_s}
        given = {"access_token": f"token-{number}", "token_type": "Bearer", **lifetime}
        return self.status, json.dumps(given).encode()

    def stop(self) -> None:
        self.gate.set()
        for listener, thread in zip(self._listeners, self._threads, strict=True):
            listener.shutdown()
            listener.server_close()
            thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    world: TokenServer

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        with suppress(OSError):
            self._serve(self._body())

    def do_POST(self) -> None:
        self.do_GET()

    def _serve(self, body: bytes) -> None:
        world, path, shown = self.server.world, self.path.partition("?")[0], self.headers.get("Authorization")
        if f"http://127.0.0.1:{self.server.server_address[1]}" == world.elsewhere:
            world.shown_elsewhere.append(shown)
            self._send(200, b"{}")
        elif path == "/token":
            form = {name: values[0] for name, values in parse_qs(body.decode("ascii")).items()}
            self._send(*world.issue(form, shown))
        elif path in world.pages:
            self._send(200, json.dumps(world.pages[path]).encode())
        elif path == "/redirect":
            world.shown.append(shown)
            world.redirected += 1
            self._send(302, b"", Location=world.redirect_to)
        elif path == "/api":
            world.shown.append(shown)
            world.bodies.append(body)
            good = (shown or "").removeprefix("Bearer ") in world.good
            self._send(200 if good else 401, b'{"ok":true}' if good else b"{}")
        else:
            self._send(404, b"{}")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def basic_pair(header: str | None) -> tuple[str, str]:
    """Client id and secret as RFC 6749 §2.3.1 has them."""
    name, _, secret = base64.b64decode((header or "").removeprefix("Basic ")).decode("ascii").partition(":")
    return unquote_plus(name), unquote_plus(secret)
