"""The key server of the experiments: a process of its own, so that it takes no time from the clients.

Each experiment has a realm with keys, manners and counters of its own. ``POST /control/REALM`` changes them and
``GET /control/REALM`` reads them; ``/REALM/jwks.json`` is what clients see.
"""

from __future__ import annotations

import gzip
import json
import ssl
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_S = 8.0
LARGE_BYTES = 20 * 1024 * 1024
ENDLESS_BYTES = 256 * 1024 * 1024
_CHUNK = b" " * 65536


class Realm:
    """What one experiment's key set is like, and what was asked of it."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {"keys": [], "mode": "ok", "delay_s": 0.0, "headers": {}, "etag": None}
        self.counts = {"fetches": 0, "conditional": 0, "elsewhere": 0, "most_in_flight": 0, "bytes": 0}
        self.in_flight = 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._realm().settings.update(json.loads(body))
        self._send(200, b"{}")

    def do_GET(self) -> None:
        realm = self._realm()
        if self.path.startswith("/control/"):
            self._send(200, json.dumps(realm.counts).encode())
            return
        if not self.path.endswith("/jwks.json"):
            realm.counts["elsewhere"] += 1
            self._send(200, _body(realm.settings))
            return
        with realm.lock:
            realm.counts["fetches"] += 1
            realm.in_flight += 1
            realm.counts["most_in_flight"] = max(realm.counts["most_in_flight"], realm.in_flight)
        with suppress(OSError):
            self._answer(realm, dict(realm.settings))
        with realm.lock:
            realm.in_flight -= 1

    def log_message(self, *arguments: Any) -> None:
        """The counters say it all."""

    def _realm(self) -> Realm:
        name = self.path.removeprefix("/control").split("/")[1]
        return self.server.realms.setdefault(name, Realm())

    def _answer(self, realm: Realm, manners: dict[str, Any]) -> None:
        time.sleep(manners["delay_s"])
        mode = manners["mode"]
        if self.headers.get("If-None-Match") or self.headers.get("If-Modified-Since"):
            realm.counts["conditional"] += 1
        if mode == "hang":
            time.sleep(HANG_S)
        if mode in ("hang", "500"):
            self._send(503 if mode == "hang" else 500, b"")
        elif mode == "redirect":
            self._send(302, b"", Location=manners["location"])
        elif mode in ("large", "endless"):
            self._stream(realm, manners, mode)
        elif mode == "compressed":
            packed = gzip.compress(_body(manners)[:-1] + b',"pad":"' + b"x" * LARGE_BYTES + b'"}')
            self._send(200, packed, **{"Content-Encoding": "gzip"})
        elif manners["etag"] and self.headers.get("If-None-Match") == manners["etag"]:
            self._send(304, None, ETag=manners["etag"])
        else:
            tag = {"ETag": manners["etag"], "Last-Modified": manners["modified"]} if manners["etag"] else {}
            self._send(200, _body(manners), **tag, **manners["headers"])

    def _send(self, status: int, body: bytes | None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body or b"")

    def _stream(self, realm: Realm, manners: dict[str, Any], mode: str) -> None:
        """A good set with spaces behind it: 20 MiB that are announced, or more than anybody should read."""
        start, size = _body(manners), LARGE_BYTES if mode == "large" else ENDLESS_BYTES
        self.send_response(200)
        if mode == "large":
            self.send_header("Content-Length", str(len(start) + size))
        self.end_headers()
        self.close_connection = True
        self.wfile.write(start)
        for _ in range(size // len(_CHUNK)):
            self.wfile.write(_CHUNK)
            realm.counts["bytes"] += len(_CHUNK)


class Listener(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    realms: dict[str, Realm]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the experiments."""


def _body(manners: dict[str, Any]) -> bytes:
    return json.dumps({"keys": manners["keys"]}).encode()


def main(certificate: str) -> None:
    """Listen on two free ports, plain and TLS, print both, and end when the input does."""
    plain, secure = (Listener(("127.0.0.1", 0), Handler) for _ in range(2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    plain.realms = secure.realms = {}
    for listener in (plain, secure):
        threading.Thread(target=listener.serve_forever, daemon=True).start()
    print(json.dumps([listener.server_address[1] for listener in (plain, secure)]), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
