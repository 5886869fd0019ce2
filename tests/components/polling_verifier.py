"""A small verifier that polls a key service: it fetches when it is told to, tries what it is given, and says so."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import urllib3

import sealwright as sw
from sealwright.jose import base64url


class PollingVerifier:
    """One process of a verifier; ``start`` polls on a thread."""

    def __init__(self, url: str, issuer: str, credential: str, name: str, instance: str) -> None:
        self.url, self.issuer = url, issuer
        self.name, self.instance = name, instance
        self.answers: list[tuple[int, float, dict[str, Any]]] = []
        self.accepted: dict[str, float] = {}
        self.tried: dict[str, dict[str, Any]] = {}
        self.deaf = False  # hears events, and fetches nothing
        self._credential = credential
        self._http = urllib3.PoolManager(retries=False, timeout=20)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.fetch()

    def fetch(self) -> None:
        """The keys and the feed, as they are published now."""
        pages = f"{self.url}/issuers/{self.issuer.rpartition('/')[2]}/.well-known"
        self.keys = sw.JWKSet.from_dict(self._http.request("GET", f"{pages}/jwks.json").json())
        feed = self._http.request("GET", f"{pages}/revoked-keys").data.decode()
        root = sw.JWKSet.from_dict(self._http.request("GET", f"{self.url}/.well-known/trust-root.jwks.json").json())
        claims = sw.verify_signature(feed, root).json()
        self.sequence: int | None = int(claims["seq"])
        self.revoked = {key["kid"] for key in claims["revoked"]}
        self.fetched_at = time.monotonic()

    def report(self) -> dict[str, Any]:
        age_s = time.monotonic() - self.fetched_at
        held = {
            str(key.key_id): self.accepted.get(str(key.key_id)) for key in self.keys if key.key_id not in self.revoked
        }
        said = {"seq": self.sequence, "feed_age_s": age_s, "keys_age_s": age_s, "keys": held}
        return {"name": self.name, "instance": self.instance, "issuers": {self.issuer: said}, "tried": self.tried}

    def poll(self, **more: Any) -> tuple[int, float, dict[str, Any]]:
        """The status, the seconds that it took, and the answer."""
        began, body = time.monotonic(), json.dumps({"verifier": self.report(), **more}).encode()
        headers = {"Authorization": f"Bearer {self._credential}"}
        response = self._http.request("POST", f"{self.url}/v1/verifiers/poll", body=body, headers=headers)
        answer = response.status, time.monotonic() - began, response.json()
        self.answers.append(answer)
        return answer

    def heed(self, answer: dict[str, Any]) -> None:
        """Try what was given, with what is known; then fetch what changed."""
        for trial_id, trial in answer["trials"].items():
            self.tried[trial_id] = {**self._decided(trial), "at": time.time()}
        if answer["sets"] and not self.deaf:
            self.fetch()

    def start(self) -> PollingVerifier:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                status, _, answer = self.poll()
            except urllib3.exceptions.HTTPError:
                return
            if status == 200:
                self.heed(answer)
            else:
                time.sleep(0.2)

    def _decided(self, trial: dict[str, Any]) -> dict[str, Any]:
        kid = _kid(trial["token"])
        if kid in self.revoked:
            return {"outcome": "rejected", "reason": "key.revoked"}
        verifier = sw.Verifier(issuer=self.issuer, audience=trial["audience"], keys=self.keys)
        decision = verifier.decide(trial["token"])
        return {"outcome": str(decision.outcome), "reason": decision.reason and str(decision.reason)}


def _kid(token: str) -> str:
    return str(json.loads(base64url.decode_text(token.partition(".")[0]))["kid"])
