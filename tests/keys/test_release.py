"""Group commit: signatures that wait together share one audit entry, and nothing leaves before it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from world import World

import sealwright as sw
from sealwright.jose import compact
from sealwright.keys.audit import AuditEntry, check_chain
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.managed_signer import SignedToken
from sealwright.keys.record import KeyRecord
from sealwright.keys.release import MOST_SIGNATURES, Release
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings

WAIT_S = 20


class Gate:
    """A catalog whose first release stands still until it is let go, so that others gather behind it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.reached, self.go = threading.Event(), threading.Event()
        self.on_release: Callable[[], None] = lambda: None
        self.entries: list[AuditEntry] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def record_signatures(self, record: KeyRecord, entry: AuditEntry) -> None:
        self.reached.set()
        assert self.go.wait(WAIT_S)
        self.on_release()
        self._inner.record_signatures(record, entry)
        self.entries.append(entry)


def facts(number: int, actor: str = "alice") -> dict[str, str]:
    return {"signing_input_sha256": f"{number}", "signature_sha256": f"{number}", "actor": actor}


@pytest.fixture
def gate(world: World) -> Gate:
    return Gate(world.stored)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as threads:
        yield threads


def gather(release: Release, record: KeyRecord, pool: ThreadPoolExecutor, gate: Gate, sizes: list[int]) -> list[Any]:
    """One release under way, and more behind it; then all are let go."""
    first = pool.submit(release.commit, record, [facts(0)])
    assert gate.reached.wait(WAIT_S)
    futures = []
    for number, size in enumerate(sizes, start=1):
        futures.append(pool.submit(release.commit, record, [facts(number)] * size))
        while len(release._waiting) < number:
            threading.Event().wait(0.001)
    gate.go.set()
    return [first, *futures]


def test_alone_nobody_waits_and_has_an_entry_of_its_own(world: World) -> None:
    Release(world.stored, world.clock).commit(world.one(KeyState.ACTIVE), [facts(1)])
    entry = list(world.stored.audit())[-1]
    assert (entry.actor, entry.facts) == ("alice", {"signatures": [facts(1)]})


def test_those_who_wait_together_share_one_entry(world: World, gate: Gate, pool: ThreadPoolExecutor) -> None:
    release = Release(gate, world.clock)
    for future in gather(release, world.one(KeyState.ACTIVE), pool, gate, [1] * 30):
        future.result(WAIT_S)
    assert [len(entry.facts["signatures"]) for entry in gate.entries] == [1, 30]


def test_an_entry_is_bounded(world: World, gate: Gate, pool: ThreadPoolExecutor) -> None:
    release = Release(gate, world.clock)
    sizes = [200, 200, 200, MOST_SIGNATURES, 1]
    for future in gather(release, world.one(KeyState.ACTIVE), pool, gate, sizes):
        future.result(WAIT_S)
    assert [len(entry.facts["signatures"]) for entry in gate.entries] == [1, 400, 200, 500, 1]


def test_an_entry_is_of_one_key(world: World, gate: Gate, pool: ThreadPoolExecutor) -> None:
    release, before = Release(gate, world.clock), world.one(KeyState.ACTIVE)
    first = pool.submit(release.commit, before, [facts(0)])
    assert gate.reached.wait(WAIT_S)
    world.keys.rotate("default", actor="operator", reason="routine")
    after = world.one(KeyState.ACTIVE)
    for number, record in enumerate((after, before, after), start=1):
        pool.submit(release.commit, record, [facts(number)])
        while len(release._waiting) < number:
            threading.Event().wait(0.001)
    gate.go.set()
    with pytest.raises(sw.RefusedError):
        first.result(WAIT_S)
    pool.shutdown(wait=True)
    assert [(entry.key_id, digests(entry)) for entry in gate.entries] == [(after.key_id, ["1"]), (after.key_id, ["3"])]


def test_an_entry_of_several_actors_names_each_beside_its_signature(
    world: World, gate: Gate, pool: ThreadPoolExecutor
) -> None:
    release, record = Release(gate, world.clock), world.one(KeyState.ACTIVE)
    first = pool.submit(release.commit, record, [facts(0)])
    assert gate.reached.wait(WAIT_S)
    others = [pool.submit(release.commit, record, [facts(1, actor)]) for actor in ("alice", "bob")]
    while len(release._waiting) < 2:
        threading.Event().wait(0.001)
    gate.go.set()
    for future in (first, *others):
        future.result(WAIT_S)
    assert gate.entries[1].actor == "several"
    assert {one["actor"] for one in gate.entries[1].facts["signatures"]} == {"alice", "bob"}


def test_what_cannot_be_written_fails_for_everybody_who_waited_and_for_nobody_else(
    world: World, gate: Gate, pool: ThreadPoolExecutor
) -> None:
    def down() -> None:
        raise sw.UnavailableError(sw.Reason.CATALOG_UNAVAILABLE, "down")

    gate.on_release = down
    release, record = Release(gate, world.clock), world.one(KeyState.ACTIVE)
    for future in gather(release, record, pool, gate, [1] * 5):
        with pytest.raises(sw.UnavailableError):
            future.result(WAIT_S)
    gate.on_release = lambda: None
    release.commit(record, [facts(9)])
    assert gate.entries[-1].facts == {"signatures": [facts(9)]}


def test_whoever_leads_and_dies_takes_nobody_along(world: World, gate: Gate, pool: ThreadPoolExecutor) -> None:
    class Death(BaseException):
        pass

    def die() -> None:
        gate.on_release = lambda: None
        raise Death

    gate.on_release = die
    release = Release(gate, world.clock)
    first, *others = gather(release, world.one(KeyState.ACTIVE), pool, gate, [1] * 3)
    with pytest.raises(Death):
        first.result(WAIT_S)
    for future in others:
        future.result(WAIT_S)


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[World]:
    quick = KeyTimings(jwks_max_age_s=0, worst_consumer_cache_s=0, replication_s=0, published_keys=100)
    catalog = SqlCatalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    yield World(catalog, timings=quick).opened()
    catalog.close()


def digests(entry: AuditEntry) -> list[str]:
    return [one["signature_sha256"] for one in entry.facts["signatures"]]


def test_batches_in_flight_during_rotations_and_emergencies_release_only_what_an_active_key_signed(
    on_disk: World,
) -> None:
    released: list[SignedToken] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def sign() -> None:
        try:
            while not stop.is_set():
                released.extend(on_disk.signer.sign_batch([(b"{}", None)] * 20, actor="thread"))
        except BaseException as error:  # noqa: BLE001 reported by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=sign) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(12):
        if number % 3 == 2:
            on_disk.keys.emergency_rotate("default", actor="operator", reason="leaked")
        else:
            on_disk.keys.rotate("default", actor="operator", reason="routine")
        stop.wait(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    check_released(on_disk, released)


def check_released(world: World, released: list[SignedToken]) -> None:
    """Each in the audit under its key, and each entry between the activation of that key and its end."""
    entries = list(world.stored.audit())
    check_chain(entries)
    known = {digest: e.key_id for e in entries if e.action == "token.signed" for digest in digests(e)}
    for one in released:
        assert known[hashlib.sha256(compact.parse(one.token).signature).hexdigest()] == one.key_id
    handles = {record.key_id: record.handle for record in world.stored.records("default")}
    active: set[str] = set()
    for entry in entries:
        for handle, state in entry.facts.get("keys", ()):
            (active.add if state == "active" else active.discard)(handle)
        if entry.action == "token.signed":
            assert handles[entry.key_id] in active
    assert len({one.key_id for one in released}) > 3
