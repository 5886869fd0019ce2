"""Three replicas rotate by themselves under load, and two verifiers, PyJWT and ours, never fail."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from postgresql import shared_cluster
from running_service import RunningService, eventually
from three_replicas import PUBLIC_URL, kill_all, start_replicas

import sealwright as sw

MAX_AGE_S, LEEWAY_S, LIFETIME_S = 1, 1, 5
PERIOD_S = 1  # always over: what keeps a rotation back is the dwell of the standby
DWELL_S = 5 * MAX_AGE_S + 1
ISSUER = {
    "algorithm": "ES256",
    "jwks_max_age": MAX_AGE_S,
    "worst_consumer_cache": MAX_AGE_S,
    "replication": 1,
    "leeway": LEEWAY_S,
    "longest_token": LIFETIME_S,
    "verify_window": 0,
    "restorable": 2,
    "rotation_period": PERIOD_S,
}
SETTINGS = {
    "SEALWRIGHT_ISSUERS": json.dumps({"default": ISSUER}),
    "SEALWRIGHT_SCHEDULER_EVERY_S": "0.5",
    "SEALWRIGHT_SIGNING_DEADLINE_S": "20",
}
AT_ONCE, AGAIN = "at once", "shortly before its expiry"
BEFORE_EXPIRY_S = 1.0
PAUSE_S = 0.02  # of a signer, between two tokens


@contextmanager
def verifiers(replicas: list[RunningService]) -> Iterator[dict[str, Callable[[str], object]]]:
    """PyJWT fetches the keys from the first replica, ours from the second; each keeps them as the page allows."""
    issuer, page = f"{PUBLIC_URL}/issuers/default", "/issuers/default/.well-known/jwks.json"
    client = jwt.PyJWKClient(replicas[0].url + page, lifespan=MAX_AGE_S)
    rules = {"algorithms": ["ES256"], "audience": "orders", "issuer": issuer, "leeway": LEEWAY_S}

    def with_pyjwt(token: str) -> object:
        return jwt.decode(token, client.get_signing_key_from_jwt(token), **rules)

    with sw.RemoteJWKSet(replicas[1].url + page) as keys:
        ours = sw.Verifier(issuer=issuer, audience="orders", keys=keys, leeway_s=LEEWAY_S)
        yield {"PyJWT": with_pyjwt, "ours": ours.verify}


class Load:
    """Signers at every replica; each token is verified at once and again shortly before it expires."""

    def __init__(self, replicas: list[RunningService], verify: dict[str, Callable[[str], object]]) -> None:
        self.failures: list[str] = []
        self.in_time: dict[str, list[bool]] = {AT_ONCE: [], AGAIN: []}
        self._replicas = replicas
        self._verify = verify
        self._stop = threading.Event()
        self._waiting: deque[tuple[float, str]] = deque()
        work = [*(lambda one=one: self._sign(one) for one in replicas), self._verify_again]
        self._threads = [threading.Thread(target=self._reporting, args=(one,)) for one in work]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _reporting(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 shown by the test
            self.failures.append(repr(error))

    def _sign(self, replica: RunningService) -> None:
        while not self._stop.wait(PAUSE_S):
            token = replica.token()
            self._check(token, AT_ONCE)
            self._waiting.append((self._expires_at(token) - BEFORE_EXPIRY_S, token))

    def _verify_again(self) -> None:
        while not self._stop.is_set() or self._waiting:
            due_at, token = self._waiting[0] if self._waiting else (time.time() + 0.1, "")
            time.sleep(max(0.0, due_at - time.time()))
            if token:
                self._waiting.popleft()
                self._check(token, AGAIN)

    def _check(self, token: str, when: str) -> None:
        """A machine that is so slow that the token expires meanwhile proves nothing."""
        for name, verify in self._verify.items():
            try:
                verify(token)
            except (jwt.PyJWTError, sw.SealwrightError) as error:
                if time.time() < self._expires_at(token):
                    self.failures.append(f"{name}, {when}: {error!r}")
        self.in_time[when].append(time.time() < self._expires_at(token))

    @staticmethod
    def _expires_at(token: str) -> float:
        return float(jwt.decode(token, options={"verify_signature": False})["exp"])


def keys_of(replica: RunningService) -> list[dict[str, Any]]:
    return list(replica.request("GET", "/v1/keys?issuer=default").json()["keys"])


def rotations(replica: RunningService) -> int:
    return len([key for key in keys_of(replica) if "activated_at" in key]) - 1


def states(replica: RunningService) -> set[str]:
    return {key["state"] for key in keys_of(replica)}


def rotate_under_load(folder: Path, wanted: int, record_property: Callable[[str, object], None]) -> None:
    replicas = start_replicas(folder, [shared_cluster().new_database()] * 3, **SETTINGS)
    try:
        with verifiers(replicas) as verify, Load(replicas, verify) as load:
            before = rotations(replicas[2])
            enough = lambda: bool(load.failures) or rotations(replicas[2]) >= before + wanted  # noqa: E731
            eventually(enough, "the replicas do not rotate", within_s=60 + wanted * 4 * DWELL_S)
        record_property("rotations", rotations(replicas[2]) - before)
        verified = {when: sum(each) for when, each in load.in_time.items()}
        record_property("tokens verified", verified)
        assert load.failures == []
        assert min(verified.values()) > wanted * 20
        eventually(lambda: "destroyed" in states(replicas[0]), "no old key goes")
    finally:
        kill_all(replicas)


def test_no_verification_fails_through_two_rotations(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rotate_under_load(tmp_path, 2, record_property)


@pytest.mark.soak
def test_no_verification_fails_through_twenty_rotations(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rotate_under_load(tmp_path, 20, record_property)
