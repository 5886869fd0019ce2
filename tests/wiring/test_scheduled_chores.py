"""What the scheduler does beside its moves, and what each replica does for itself, as wiring puts them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sealwright.clock import ManualClock
from sealwright.errors import Reason, RefusedError, UnavailableError
from sealwright.events import BackendChecked, Event, ScheduledStepFailed
from sealwright.keys import audit_statements
from sealwright.keys.audit_statements import CHECKPOINT
from sealwright.keys.backends.memory import MemoryBackend
from sealwright.keys.catalogs.memory import MemoryCatalog
from sealwright.keys.policy import FixedPolicies
from sealwright.keys.scheduler import Scheduler
from sealwright.settings import INTERNAL_ISSUER, ServiceSettings
from sealwright.wiring.replica_upkeep import FLUSH_EVERY_TICKS, ReplicaUpkeep
from sealwright.wiring.scheduling import build_scheduler
from sealwright.wiring.signing import SigningSide, build_signing

WHO: Any = {"actor": "tester", "reason": "test"}


class Seen:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def observe(self, event: Event) -> None:
        self.events.append(event)

    def failed(self) -> list[tuple[str, str]]:
        found = [event for event in self.events if isinstance(event, ScheduledStepFailed)]
        return [(event.step, str(event.reason)) for event in found]


class Replica:
    """One process on a catalog, whose scheduler ticks when it is told to."""

    def __init__(self, catalog: MemoryCatalog, backend: MemoryBackend, clock: ManualClock, home: Path) -> None:
        self.clock = clock
        self.seen = Seen()
        settings = ServiceSettings.load(home=home, scheduler_every_s=10, audit_checkpoint_every_s=60)
        self.signing: SigningSide = build_signing(
            settings, catalog, {"local": backend}, FixedPolicies(), self.seen, clock=clock
        )
        self.scheduler: Scheduler = build_scheduler(settings, self.signing)
        self.upkeep = ReplicaUpkeep(self.signing)

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds // 10):
            self.clock.advance(10)
            assert self.scheduler.tick() == "done", self.seen.failed()

    def checkpoints(self) -> int:
        return sum(entry.action == CHECKPOINT for entry in self.signing.catalog.audit())


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    made = Replica(MemoryCatalog(), MemoryBackend(), ManualClock(), tmp_path)
    for issuer, purpose in ((INTERNAL_ISSUER, "trust-root"), ("default", "token")):
        made.signing.lifecycle.open_issuer(issuer, purpose=purpose, **WHO)  # type: ignore[arg-type]
    assert made.scheduler.tick() == "starting"
    yield made
    made.signing.close()


def test_a_checkpoint_is_written_as_often_as_the_setting_says(replica: Replica) -> None:
    for expected in range(1, 4):
        replica.signing.signer("default").sign(b"{}", typ="x+jws", actor="alice")
        replica.pass_time(60)
        assert replica.checkpoints() == expected
    (*_, newest) = [entry for entry in replica.signing.catalog.audit() if entry.action == CHECKPOINT]
    assert (newest.actor, newest.reason, newest.issuer) == ("scheduler", "scheduled", INTERNAL_ISSUER)


def test_no_checkpoint_is_written_where_nothing_was_appended_since_the_last_one(replica: Replica) -> None:
    replica.pass_time(600)
    assert replica.checkpoints() == 1
    length = len(list(replica.signing.catalog.audit()))
    replica.pass_time(600)
    assert len(list(replica.signing.catalog.audit())) == length
    root = replica.signing.signer(INTERNAL_ISSUER, "trust-root")
    root.sign(b"{}", typ="feed+jwt", actor="sealwright")  # the same key, and no checkpoint
    replica.pass_time(60)
    assert replica.checkpoints() == 2


def test_a_checkpoint_that_another_process_has_just_written_is_no_failure(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, asked = replica.signing.catalog.commit, []

    def too_late(changes: Any, entry: Any) -> None:
        if entry.action == CHECKPOINT and not asked:
            asked.append(entry)
            root = replica.signing.signer(INTERNAL_ISSUER, "trust-root")
            audit_statements.write_checkpoint(replica.signing.catalog, root, issuer=INTERNAL_ISSUER, actor="faster")
        commit(changes, entry)

    monkeypatch.setattr(replica.signing.catalog, "commit", too_late)
    replica.pass_time(10)
    assert [entry.actor for entry in replica.signing.catalog.audit() if entry.action == CHECKPOINT] == ["faster"]
    assert replica.seen.failed() == []


def test_a_trust_root_that_cannot_sign_is_reported(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise UnavailableError(Reason.CATALOG_UNAVAILABLE, "down")

    monkeypatch.setattr(replica.signing.catalog, "record_signatures", refuse)
    replica.clock.advance(10)
    assert replica.scheduler.tick() == "failed"
    assert replica.seen.failed() == [("audit_checkpoint", "catalog.unavailable")]


def test_what_a_replica_could_not_do_for_itself_is_reported(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RefusedError(Reason.GUARD_NO_ACTIVE_KEY, "none")

    monkeypatch.setattr(replica.signing.catalog, "records", refuse)
    monkeypatch.setattr(replica.signing.presigned, "flush", refuse, raising=False)
    for _ in range(FLUSH_EVERY_TICKS):
        replica.upkeep.tick()
    steps = [step for step, reason in replica.seen.failed() if reason == "guard.no_active_key"]
    assert Counter(steps) == {"delegation": FLUSH_EVERY_TICKS, "backend_health": 1, "reuse_counts": 1}


def test_a_replica_tries_its_backends_at_its_start_and_once_a_minute(replica: Replica) -> None:
    for _ in range(FLUSH_EVERY_TICKS + 1):
        replica.upkeep.tick()
    checked = [event for event in replica.seen.events if isinstance(event, BackendChecked)]
    assert checked == [BackendChecked("local", None)] * 2
