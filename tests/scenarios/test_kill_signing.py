"""kill -9 while batches are signed: whatever a caller holds has its audit entry, and the chain is unbroken."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import urllib3
from running_service import SHORT_TIMINGS, RunningService, eventually

from sealwright.jose import compact
from sealwright.keys.audit import check_chain
from sealwright.keys.catalogs.sql import SqlCatalog

CALLERS = 4


def sign_until_killed(service: RunningService, size: int, received: list[str]) -> None:
    """Batches and single tokens in turn, as long as the service answers."""
    item = {"claims": {"sub": "alice"}, "audience": "orders"}
    try:
        while True:
            answer = service.request("POST", "/v1/issuers/default/tokens/batch", {"tokens": [item] * size})
            received += [one["token"] for one in answer.json()["tokens"]]
            received.append(service.request("POST", "/v1/issuers/default/tokens", item).json()["token"])
    except (urllib3.exceptions.HTTPError, OSError, KeyError, ValueError):
        return


def check_every_token_is_in_the_audit(home: Path, received: list[str]) -> None:
    catalog = SqlCatalog.open(f"sqlite:///{home / 'sealwright.db'}")
    try:
        entries = list(catalog.audit())
    finally:
        catalog.close()
    check_chain(entries)
    signed = [entry for entry in entries if entry.action == "token.signed"]
    known = {one["signature_sha256"] for entry in signed for one in entry.facts["signatures"]}
    digests = {hashlib.sha256(compact.parse(token).signature).hexdigest() for token in received}
    assert digests <= known
    assert any(len(entry.facts["signatures"]) > 1 for entry in signed)


def has_grown(received: list[str], size: int) -> bool:
    return len(received) >= size


def kill_during_batches(start: Callable[..., RunningService], home: Path, times: int, seed: int) -> int:
    chance, received = random.Random(seed), list[str]()
    for _ in range(times):
        service = start(home, **SHORT_TIMINGS)
        callers = [threading.Thread(target=sign_until_killed, args=(service, 50, received)) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        eventually(partial(has_grown, received, len(received) + 50), "no batch was signed")
        threading.Event().wait(chance.uniform(0.0, 0.5))
        os.kill(service.process.pid, signal.SIGKILL)
        service.kill()
        for caller in callers:
            caller.join(30)
        check_every_token_is_in_the_audit(home, received)
    return len(received)


def test_kills_in_the_middle_of_batches_lose_no_audit_entry_of_a_released_token(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    assert kill_during_batches(start_service, tmp_path / "data", 4, seed=1) > 100


@pytest.mark.soak
def test_forty_kills_in_the_middle_of_batches_lose_none_either(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    assert kill_during_batches(start_service, tmp_path / "data", 40, seed=2) > 1000
