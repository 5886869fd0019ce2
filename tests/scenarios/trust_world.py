"""An issuer with its key life, its pages on a real loopback server, and one verifier whose clock is its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from world import World

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.errors import UnavailableError
from sealwright.events import StatementRefreshed
from sealwright.jose import strict_json
from sealwright.keys.history import revoked_keys
from sealwright.keys.publication import published_keys
from sealwright.keys.timings import KeyTimings
from sealwright.profiles.claims_token import claims_payload
from sealwright.statements.revoked_keys import TYP, feed_claims, token_digest
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.revocation_feeds import ObeyedFeed, RevocationFeeds
from sealwright.trust.trust_root import TrustRoot

ISSUER, AUDIENCE = "https://id.example", "orders"
LEEWAY_S = 120.0
TIMINGS = KeyTimings(
    jwks_max_age_s=60, worst_consumer_cache_s=120, replication_s=10, longest_token_s=600, leeway_s=LEEWAY_S,
    verify_window_floor_s=0,
)  # fmt: skip
PATIENCE_S = 20
WHO = {"actor": "tester", "reason": "random walk"}


class Pages:
    """What the issuer publishes, as of each request; a page that is down answers 503."""

    def __init__(self, pages: dict[str, Callable[[], bytes]]) -> None:
        self.down: set[str] = set()
        self._pages = pages
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/")
                body = b"" if name in pages.down else pages._pages[name]()
                with suppress(OSError):
                    self.send_response(503 if name in pages.down else 200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class TrustWorld:
    """The issuer's clock is ``world.clock``; that of the verifier is ``skew_s`` ahead of it."""

    def __init__(self, folder: Path) -> None:
        self.world = World(timings=TIMINGS).opened()
        self.root = sw.PrivateJWK.generate("Ed25519", key_id="root")
        self.revoked_tokens: dict[str, float] = {}
        self.old_feeds: list[bytes] = []
        self.serves_old_feed = False
        self.pages = Pages({"jwks": self._jwks, "feed": self._feed})
        self.clock, self.skew_s = ManualClock(self.world.clock.now()), 0.0
        self._folder = folder
        self._landed: queue.Queue[str] = queue.Queue()
        self.start_verifier()

    def observe(self, event: Any) -> None:
        if isinstance(event, StatementRefreshed):
            self._landed.put(event.outcome)

    def start_verifier(self) -> None:
        self.source = sw.RemoteJWKSet(f"{self.pages.url}/jwks", clock=self.clock)
        feed = ObeyedFeed(ISSUER, f"{self.pages.url}/feed")
        root = TrustRoot(sw.JWKSet([self.root.public]))
        self.feeds = RevocationFeeds([feed], root, self._folder, clock=self.clock, observer=self)
        policy = VerificationPolicy(issuer=ISSUER, audience=AUDIENCE, leeway_s=LEEWAY_S)
        trusted = TrustedIssuer(policy, self.source)
        self.verifier = sw.Verifier(issuers=[trusted], revocation=self.feeds, clock=self.clock)
        self.feeds.start()
        self._landed.get(timeout=PATIENCE_S)

    def stop_verifier(self) -> None:
        self.verifier.close()
        self.feeds.close()
        self._landed = queue.Queue()

    def close(self) -> None:
        self.stop_verifier()
        self.pages.stop()

    def pass_time(self, seconds: float) -> None:
        for clock in (self.world.clock, self.clock):
            clock.advance(seconds)

    def set_skew(self, skew_s: float) -> None:
        self.clock.jump(skew_s - self.skew_s)
        self.skew_s = skew_s

    def fetch_keys(self) -> bool:
        """What the verifier's thread does when it is due; whether it got the keys."""
        try:
            self.source.refresh()
        except UnavailableError:
            return False
        return True

    def fetch_feed(self) -> bool:
        """The same for the feed; whether a current one was taken."""
        self.pass_time(20.0)  # beyond floor and backoff
        while not self._landed.empty():
            self._landed.get()
        self.feeds.ask(ISSUER)
        return self._landed.get(timeout=PATIENCE_S) != "failed" and not self.serves_old_feed

    def token(self, lifetime_s: float) -> dict[str, Any]:
        """A token of the active key, with what the model needs to know of it."""
        now = self.world.clock.now()
        payload = claims_payload({}, issuer=ISSUER, audience=AUDIENCE, lifetime_s=lifetime_s, now=now)
        signed = self.world.signer.sign(payload, typ="JWT", actor="tester")
        return {"token": signed.token, "kid": signed.key_id, **strict_json.parse_object(payload)}

    def _jwks(self) -> bytes:
        return strict_json.encode_object(published_keys(self.world.stored.records(), "default").to_dict())

    def _feed(self) -> bytes:
        if self.serves_old_feed and self.old_feeds:
            return self.old_feeds[0]
        now, records = self.world.clock.now(), self.world.stored.records()
        sequence = self.world.stored.version() + len(self.revoked_tokens)
        digests = [token_digest(token_id) for token_id in self.revoked_tokens]
        claims = feed_claims(ISSUER, revoked_keys(records, "default"), sequence=sequence, now=now, tokens=digests)
        body = sw.sign(strict_json.encode_object(claims), self.root, typ=TYP).encode()
        self.old_feeds = [*self.old_feeds[-4:], body]
        return body
