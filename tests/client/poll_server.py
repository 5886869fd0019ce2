"""A small key service on loopback: it publishes keys and a feed, holds polls, and notes what it was told."""

import json
import queue
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sealwright.jose import strict_json
from sealwright.jose.signing import sign
from sealwright.statements.revoked_keys import RevokedKey, feed_claims
from sealwright.statements.security_events import TYP, KeysChanged, event_claims

PATIENCE_S = 8.0


class PollServer:
    def __init__(self, root):
        self.root = root
        self.keys, self.revoked, self.sequence = [], [], 1
        self.polls = []
        self.headers = []
        self.feed_fetches = self.key_fetches = self.open = 0
        self.status = 200
        self.raw = None
        self.holds_s = 15.0
        self.answers = queue.Queue()
        self.changed = threading.Condition()
        self._stopping = threading.Event()
        self._http = _Listener(("127.0.0.1", 0), _Handler)
        self._http.service = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.issuer = f"{self.url}/issuers/default"
        self.feed_url, self.jwks_url = f"{self.url}/feed", f"{self.url}/jwks"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def event(
        self, token_id, *, sequence=None, key=None, typ=TYP, transmitter=None, audience="orders-verifier", **more
    ):
        told = KeysChanged(self.issuer, self.sequence if sequence is None else sequence)
        base = transmitter or self.url
        claims = event_claims(told, transmitter=base, audience=audience, token_id=token_id, now=time.time())
        return sign(strict_json.encode_object({**claims, **more}), key or self.root, typ=typ)

    def answer(self, sets=None, trials=None):
        """What the poll that is held, or else the next, gets at once."""
        self.answers.put({"sets": sets or {}, "moreAvailable": False, "trials": trials or {}})

    def wait_for_polls(self, check):
        """The first poll of which something is true."""
        with self.changed:
            found = lambda: next((poll for poll in self.polls if check(poll)), None)  # noqa: E731
            assert self.changed.wait_for(lambda: found() is not None, PATIENCE_S), f"never said, of {len(self.polls)}"
            return found()

    def stop(self):
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def get(self, path):
        if path == "/jwks":
            self.key_fetches += 1
            return json.dumps({"keys": [key.public.to_dict() for key in self.keys]}).encode()
        self.feed_fetches += 1
        keys = [RevokedKey(key_id, 1.0, "compromised") for key_id in self.revoked]
        claims = feed_claims(self.issuer, keys, sequence=self.sequence, now=time.time())
        return sign(strict_json.encode_object(claims), self.root, typ="revoked-keys+jwt").encode()

    def poll(self, body, headers):
        with self.changed:
            self.polls.append(body)
            self.headers.append(headers)
            self.open += 1
            number = len(self.polls)
            self.changed.notify_all()
        try:
            return self._held(number)
        finally:
            self.open -= 1

    def _held(self, number):
        """Whoever polls again has given up the poll before."""
        until = time.monotonic() + self.holds_s
        while time.monotonic() < until and not self._stopping.is_set() and number == len(self.polls):
            with suppress(queue.Empty):
                answer = self.answers.get(timeout=0.02)
                if number == len(self.polls):
                    return answer
                self.answers.put(answer)
        return {"sets": {}, "moreAvailable": False, "trials": {}}


class _Listener(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._send(200, self.server.service.get(self.path))

    def do_POST(self):
        service = self.server.service
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/v1/credentials/renew":
            service.headers.append(dict(self.headers))
            return self._send(200, b'{"token":"renewed"}')
        body = json.loads(text)
        answer = service.poll(body, dict(self.headers))
        return self._send(service.status, service.raw if service.raw is not None else json.dumps(answer).encode())

    def _send(self, status, body):
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass
