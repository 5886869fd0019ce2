"""A real HTTP/1.1 server on loopback that publishes keys, well or badly, and counts who asks."""

import gzip
import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE_S = 20.0


class JwksServer:
    def __init__(self, tls=None):
        self.keys = []
        self.mode = "ok"
        self.headers = {}
        self.etag = None
        self.clock_ahead_s = 0.0
        self.sequence = None
        self.pages = {}  # other paths: a dict to answer with, or a status
        self.location = None
        self.redirect_status = 302
        self.encoding = "gzip"
        self.size = 0
        self.gate = threading.Event()
        self.gate.set()
        self.requests = []
        self.paths = []
        self.bytes_sent = 0
        self.in_flight = self.max_in_flight = 0
        self.changed = threading.Condition()
        self._stopping = threading.Event()
        self._http = _Listener(("127.0.0.1", 0), _Handler)
        self._http.jwks = self
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.port = self._http.server_address[1]
        self.origin = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/jwks.json"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def publish(self, *keys):
        self.keys = [key.public.to_dict() for key in keys]

    def hold(self):
        """Answers wait until ``release``."""
        self.gate.clear()

    def release(self):
        self.gate.set()

    @property
    def fetches(self):
        return len(self.requests)

    def wait_for_fetches(self, count):
        self.wait_for(lambda: self.fetches >= count)

    def wait_for(self, happened):
        with self.changed:
            assert self.changed.wait_for(happened, PATIENCE_S), "the fetch never came"

    def stop(self):
        self._stopping.set()
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def serve(self, handler):
        with self.changed:
            self.paths.append(handler.path)
            self.changed.notify_all()
        if handler.path in self.pages:
            self._page(handler, self.pages[handler.path])
            return
        if handler.path == "/jwks.json":
            with self.changed:
                self.requests.append(dict(handler.headers))
                self.in_flight += 1
                self.max_in_flight = max(self.max_in_flight, self.in_flight)
                self.changed.notify_all()
        mode, handler.keys = self.mode, list(self.keys)  # as of the arrival, however late the answer
        self.gate.wait(PATIENCE_S)
        try:
            getattr(self, f"_{mode}")(handler)
        finally:
            if handler.path == "/jwks.json":
                self.in_flight -= 1

    def _page(self, handler, page):
        if isinstance(page, dict):
            self._send(handler, 200, json.dumps(page).encode())
        else:
            self._send(handler, page, b"")

    def _ok(self, handler):
        if self.etag is not None and handler.headers.get("If-None-Match") == self.etag:
            self._send(handler, 304, b"")
        else:
            numbered = {} if self.sequence is None else {"seq": self.sequence}
            self._send(handler, 200, json.dumps({**numbered, "keys": handler.keys}).encode())

    def _error(self, handler):
        self._send(handler, 500, b"")

    def _not_modified(self, handler):
        self._send(handler, 304, b"")

    def _redirect(self, handler):
        location = f"{self.origin}/elsewhere.json" if self.location is None else self.location
        self._send(handler, self.redirect_status, b"", Location=location)

    def _empty(self, handler):
        self._send(handler, 200, b'{"keys":[]}')

    def _garbage(self, handler):
        self._send(handler, 200, b"<html>sign in</html>")

    def _bad(self, handler):
        broken = [
            {"kty": "RSA", "n": "!!", "e": "AQAB", "kid": "b1"},
            {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "b2"},
        ]
        self._send(handler, 200, json.dumps({"keys": [*broken, *handler.keys]}).encode())

    def _big(self, handler):
        body = json.dumps({"keys": handler.keys, "pad": "x" * (20 * 1024 * 1024)}).encode()
        self._stream(handler, body, length=len(body))

    def _endless(self, handler):
        self._stream(handler, b'{"keys":[' + b" " * (64 * 1024 * 1024), length=None)

    def _compressed(self, handler):
        body = gzip.compress(json.dumps({"keys": handler.keys}).encode())
        self._send(handler, 200, body, **{"Content-Encoding": self.encoding})

    def _padded(self, handler):
        body = json.dumps({"keys": handler.keys}).encode()
        self._send(handler, 200, body + b" " * (self.size - len(body)))

    def _truncated(self, handler):
        body = json.dumps({"keys": handler.keys}).encode()
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 10) + body)
        handler.close_connection = True

    def _drip_header(self, handler):
        """One byte of a never-ending header at a time: every read succeeds, the answer never comes."""
        self._drip(handler, b"HTTP/1.1 200 OK\r\nX-Drip: ")

    def _drip_body(self, handler):
        self._drip(handler, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")

    def _drip(self, handler, start):
        handler.close_connection = True
        with suppress(OSError):
            handler.wfile.write(start)
            while not self._stopping.wait(0.05):
                handler.wfile.write(b" ")

    def _send(self, handler, status, body, **headers):
        handler.send_response(status)
        for name, value in {**self.headers, **headers}.items():
            handler.send_header(name, value)
        if self.etag is not None:
            handler.send_header("ETag", self.etag)
        if status != 304:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _stream(self, handler, body, length):
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.close_connection = True
        for start in range(0, len(body), 65536):
            handler.wfile.write(body[start : start + 65536])
            self.bytes_sent += 65536


class _Listener(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = False
    block_on_close = True

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the experiments."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with suppress(OSError):
            self.server.jwks.serve(self)

    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + self.server.jwks.clock_ahead_s)

    def log_message(self, *arguments):
        pass
