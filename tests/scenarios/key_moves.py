"""Threads that create, rotate, revoke and destroy keys of a running service until it is killed under them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from running_service import Answer, RunningService

KINDS = ("create", "rotate", "emergency", "destroy")
WHY = {"reason": "kill test", "force": True}
LEAKED = {"reason": "kill test"}


class ServiceGoneError(Exception):
    """The answer did not come: the service was killed."""


class KeyMoves:
    """``reached`` is set when the move of kind ``kind`` begins for the ``nth`` time."""

    def __init__(self, service: RunningService, kind: str, nth: int, seed: int) -> None:
        self.reached = threading.Event()
        self.promised: dict[str, set[str]] = {"revoked": set(), "destroyed": set(), "opened": set()}
        self.interrupted: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._service = service
        self._kind = kind
        self._left = nth
        self._seed = seed
        self._threads: list[threading.Thread] = []

    def start(self, *issuers: str, opening: tuple[str, str]) -> None:
        """One thread for each issuer, and one that opens a new one: its name and its backend."""
        self._run(self._open, *opening)
        for number, issuer in enumerate(issuers):
            self._run(self._move_on, issuer, random.Random(self._seed + number))

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _run(self, work: Any, *arguments: Any) -> None:
        def until_killed() -> None:
            try:
                work(*arguments)
            except ServiceGoneError:
                pass
            except Exception as error:  # noqa: BLE001 shown by the test
                self.wrong.append(repr(error))

        self._threads.append(threading.Thread(target=until_killed))
        self._threads[-1].start()

    def _open(self, issuer: str, backend: str) -> None:
        """By the policy that names its backend."""
        table = {"algorithm": "ES256", "backend": backend}
        with self._under_way("create"):
            answer = self._ask("/v1/config/apply", {"issuers": {issuer: table}, "backends": [backend], **LEAKED})
        if answer.status == 200:
            self.promised["opened"].add(issuer)

    def _move_on(self, issuer: str, chance: random.Random) -> None:
        steps = {
            "create": self._create,
            "rotate": self._rotate,
            "emergency": self._emergency,
            "destroy": self._destroy,
        }
        while True:
            steps[chance.choice(KINDS)](issuer)

    def _create(self, issuer: str) -> None:
        """The standby goes, so that one can be made."""
        for kid in self._kids(issuer, "standby"):
            self._ask(f"/v1/keys/{kid}/retire", WHY)
        with self._under_way("create"):
            self._ask(f"/v1/issuers/{issuer}/keys", LEAKED)

    def _rotate(self, issuer: str) -> None:
        with self._under_way("rotate"):
            self._ask(f"/v1/issuers/{issuer}/rotate", WHY)

    def _emergency(self, issuer: str) -> None:
        with self._under_way("emergency"):
            answer = self._ask(f"/v1/issuers/{issuer}/emergency-rotate", LEAKED)
        if answer.status == 200:
            self.promised["revoked"].add(answer.json()["previous"]["key_id"])

    def _destroy(self, issuer: str) -> None:
        for kid in self._kids(issuer, "verify_only"):
            self._ask(f"/v1/keys/{kid}/retire", WHY)
        for kid in self._kids(issuer, "retired"):
            with self._under_way("destroy"):
                answer = self._ask(f"/v1/keys/{kid}/destroy", WHY)
            if answer.status == 200:
                self.promised["destroyed"].add(kid)

    def _kids(self, issuer: str, state: str) -> list[str]:
        answer = self._request("GET", f"/v1/keys?issuer={issuer}")
        found = [key for key in answer.json()["keys"] if key["state"] == state and "destroyed_at" not in key]
        return [key["key_id"] for key in found if key["key_id"]]

    def _ask(self, path: str, body: dict[str, Any]) -> Answer:
        answer = self._request("POST", path, body)
        if answer.status not in (200, 201, 409):
            self.wrong.append(f"{path}: {answer.status} {answer.body!r}")
        return answer

    def _request(self, method: str, path: str, body: Any = None) -> Answer:
        try:
            return self._service.request(method, path, body)
        except (urllib3.exceptions.HTTPError, OSError):
            raise ServiceGoneError from None

    @contextmanager
    def _under_way(self, kind: str) -> Iterator[None]:
        if kind == self._kind:
            self._left -= 1
            if self._left == 0:
                self.reached.set()
        try:
            yield
        except ServiceGoneError:
            self.interrupted[kind] += 1
            raise
