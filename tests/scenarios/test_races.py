"""Many callers at once: one winner for each rotation, and every token that is released verifies."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from running_service import SHORT_TIMINGS, RunningService


def rotate(service: RunningService, rotations: int) -> None:
    for _ in range(rotations):
        service.request("POST", "/v1/issuers/default/rotate", {"reason": "race", "force": True})
        for kid in service.keys().get("verify_only", [])[3:]:
            service.request("POST", f"/v1/keys/{kid}/retire", {"reason": "race", "force": True})


def use(service: RunningService, tokens: int, refused: list[object]) -> None:
    for _ in range(tokens):
        decision = service.decide(service.token())
        # The race retires keys by force, so a token may outlive its key; it is never refused for another reason.
        if decision["outcome"] != "accepted" and decision["reason"] != "key.not_found":
            refused.append(decision)


def race(service: RunningService, callers: int, rotations: int) -> None:
    refused: list[object] = []
    threads = [threading.Thread(target=rotate, args=(service, rotations)) for _ in range(callers)]
    threads.append(threading.Thread(target=use, args=(service, rotations * 3, refused)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = service.keys()
    assert (len(keys["active"]), len(keys["standby"])) == (1, 1)
    assert not refused
    assert service.cli("audit", "verify").returncode == 0


def test_callers_that_rotate_together_leave_one_active_key(start_service: Callable[..., RunningService]) -> None:
    race(start_service(**SHORT_TIMINGS), callers=4, rotations=5)


@pytest.mark.soak
def test_callers_that_rotate_together_for_long_leave_one_active_key(
    start_service: Callable[..., RunningService],
) -> None:
    race(start_service(**SHORT_TIMINGS), callers=8, rotations=100)
