"""kill -9 in a rotation loop: exactly one active key, an unbroken audit trail, and a service that starts."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3
from running_service import SHORT_TIMINGS, RunningService

from sealwright.keys.audit import check_chain
from sealwright.keys.catalogs.sql import SqlCatalog


def rotate_until_killed(service: RunningService, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            service.request("POST", "/v1/issuers/default/rotate", {"reason": "loop"})
            for kid in service.keys().get("verify_only", []):
                service.request("POST", f"/v1/keys/{kid}/retire", {"reason": "loop", "force": True})
        except (urllib3.exceptions.HTTPError, OSError, KeyError, ValueError):
            return


def check_what_is_left(home: Path) -> None:
    catalog = SqlCatalog.open(f"sqlite:///{home / 'sealwright.db'}")
    try:
        active = [record.lineage for record in catalog.records() if record.state == "active"]
        assert sorted((issuer, purpose) for issuer, purpose, _ in active) == [
            ("default", "token"),
            ("internal", "token"),
            ("internal", "trust-root"),
        ]
        kids = [record.key_id for record in catalog.records() if record.key_id]
        assert len(kids) == len(set(kids))
        assert check_chain(catalog.audit()) > 0
    finally:
        catalog.close()


def kill_during_rotations(start: Callable[..., RunningService], home: Path, times: int, seed: int) -> int:
    chance = random.Random(seed)
    service = start(home, **SHORT_TIMINGS)
    port, rotations = service.port, 0
    for _ in range(times):
        stop = threading.Event()
        loop = threading.Thread(target=rotate_until_killed, args=(service, stop))
        loop.start()
        stop.wait(chance.uniform(0.02, 1.0))
        os.kill(service.process.pid, signal.SIGKILL)
        stop.set()
        service.kill()
        loop.join(30)
        check_what_is_left(home)
        service = start(home, port, **SHORT_TIMINGS)
        keys = service.keys()
        assert (len(keys["active"]), len(keys["standby"])) == (1, 1), keys
        assert "pending" not in keys
        assert service.decide(service.token())["outcome"] == "accepted"
        rotations = len([key for state in keys.values() for key in state])
    return rotations


def test_ten_kills_during_rotations_lose_nothing(start_service: Callable[..., RunningService], tmp_path: Path) -> None:
    made = kill_during_rotations(start_service, tmp_path / "data", 10, seed=1)
    assert made > 10  # the loop really rotated


@pytest.mark.soak
def test_fifty_kills_during_rotations_lose_nothing(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    made = kill_during_rotations(start_service, tmp_path / "data", 50, seed=2)
    assert made > 50
