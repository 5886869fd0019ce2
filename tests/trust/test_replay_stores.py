"""The stores by themselves: room and its end, sweeping, and many callers in few flights."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from forwarder import Forwarder
from hypothesis import given
from hypothesis import strategies as st
from postgresql import shared_cluster

from sealwright.clock import ManualClock
from sealwright.errors import Reason, UnavailableError
from sealwright.trust.replay import StoreFigures
from sealwright.trust.stores.batches import LARGEST_BATCH, Batches, Claim
from sealwright.trust.stores.memory import MemoryReplayStore
from sealwright.trust.stores.sql import SqlReplayStore


def key(number: int) -> bytes:
    return number.to_bytes(16)


def test_a_full_memory_forgets_nothing_and_takes_more_once_something_has_ended() -> None:
    clock = ManualClock()
    store = MemoryReplayStore(100, clock=clock)
    assert all(store.claim(key(number), 10 + number) for number in range(100))
    for number in range(100, 200):
        with pytest.raises(UnavailableError) as caught:
            store.claim(key(number), 10)
        assert caught.value.reason == Reason.REPLAY_FULL
    assert not any(store.claim(key(number), 10) for number in range(100))
    assert store.figures() == StoreFigures("memory", 100, 100, 0)
    clock.advance(10.5)
    assert store.claim(key(200), 10)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20), st.integers(0, 10)), max_size=60))
def test_a_memory_claims_as_a_plain_table_of_ends_would(steps: list[tuple[int, int, int]]) -> None:
    clock, ends = ManualClock(), dict[int, float]()
    store = MemoryReplayStore(6, clock=clock)
    for number, ttl_s, wait_s in steps:
        clock.advance(wait_s)
        now = clock.monotonic()
        first = ends.get(number, now) <= now
        assert store.claim(key(number), ttl_s) is first
        if first:
            ends[number] = now + ttl_s


def test_what_ended_is_swept_from_memory_as_new_entries_come() -> None:
    clock = ManualClock()
    store = MemoryReplayStore(10_000, clock=clock)
    for number in range(1000):
        store.claim(key(number), 1)
    clock.advance(2)
    for number in range(1000, 1100):
        store.claim(key(number), 1)
    assert store.figures().entries == 100
    assert len(store._by_end) == 100


def test_an_entry_that_was_claimed_anew_is_not_swept_with_its_former_self() -> None:
    clock = ManualClock()
    store = MemoryReplayStore(clock=clock)
    for number in range(100):
        store.claim(key(number), 1)
    clock.advance(2)
    assert store.claim(key(99), 60)
    for number in range(200, 220):
        assert store.claim(key(number), 60)
    assert not store.claim(key(99), 60)


class Slow:
    """A sender that waits to be let go, and notes each batch."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go = threading.Event()
        self.started = threading.Event()

    def send(self, claims: Sequence[Claim]) -> Sequence[bool]:
        self.batches.append(len(claims))
        self.started.set()
        self.go.wait(10)
        return [True] * len(claims)

    def tidy(self) -> None: ...

    def close(self) -> None: ...


def test_callers_that_come_during_a_flight_share_the_next_one() -> None:
    slow = Slow()
    batches = Batches(lambda: slow, timeout_s=10, name="test")

    async def many() -> list[bool]:
        first = asyncio.ensure_future(batches.aask(Claim(key(0), 1)))
        await asyncio.to_thread(slow.started.wait, 10)
        others = [asyncio.ensure_future(batches.aask(Claim(key(number), 1))) for number in range(1, 301)]
        await asyncio.sleep(0)
        slow.go.set()
        return await asyncio.gather(first, *others)

    assert all(asyncio.run(many()))
    assert slow.batches == [1, LARGEST_BATCH, 300 - LARGEST_BATCH]
    batches.close()


def test_whom_nobody_waits_for_any_more_is_not_sent() -> None:
    slow = Slow()
    batches = Batches(lambda: slow, timeout_s=0.05, name="test")
    began = time.monotonic()
    for number in range(4):
        with pytest.raises(UnavailableError):
            batches.ask(Claim(key(number), 1))
    assert time.monotonic() - began < 2
    assert (slow.batches, batches.errors) == ([1], 4)
    slow.go.set()
    batches.check()
    assert batches.ask(Claim(key(9), 1))
    assert slow.batches[-1] == 1
    assert sum(slow.batches) == 2
    batches.close()


SQL = {
    "sqlite": lambda folder: f"sqlite:///{folder / 'replay.db'}",
    "postgresql": lambda _: shared_cluster().new_database(),
}


@pytest.mark.parametrize("kind", SQL)
def test_a_full_table_takes_nothing_until_something_has_ended(kind: str, tmp_path: Path) -> None:
    store = SqlReplayStore(SQL[kind](tmp_path), capacity=20)
    assert all(store.claim(key(number), 0.5) for number in range(20))
    with pytest.raises(UnavailableError) as caught:
        store.claim(key(20), 60)
    assert caught.value.reason == Reason.REPLAY_FULL
    time.sleep(0.55)
    for _ in range(3):  # the refusal makes room behind itself
        try:
            assert store.claim(key(20), 60)
            break
        except UnavailableError:
            continue
    else:
        pytest.fail("what ended was not deleted")
    assert store.figures().entries == 1
    store.close()


@pytest.mark.parametrize("kind", SQL)
def test_what_ended_is_deleted_as_new_entries_come(kind: str, tmp_path: Path) -> None:
    url = SQL[kind](tmp_path)
    store = SqlReplayStore(url)
    assert all(store.claim(key(number), 0.001) for number in range(50))
    time.sleep(0.01)
    assert store.claim(key(1000), 60)
    store.close()
    again = SqlReplayStore(url)
    again.check()
    assert again.figures().entries == 1
    assert not again.claim(key(1000), 60)
    again.close()


@pytest.mark.parametrize("kind", SQL)
def test_several_that_start_at_once_make_one_table(kind: str, tmp_path: Path) -> None:
    url, mine = SQL[kind](tmp_path), secrets.token_bytes(16)
    stores = [SqlReplayStore(url, timeout_s=10) for _ in range(6)]
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda one=one: answers.append(one.claim(mine, 60))) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == [False] * 5 + [True]
    for one in stores:
        one.close()


def test_a_sqlite_file_that_somebody_else_holds_costs_the_timeout(tmp_path: Path) -> None:
    file = tmp_path / "replay.db"
    store = SqlReplayStore(f"sqlite:///{file}", timeout_s=0.3)
    assert store.claim(key(1), 60)
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            store.claim(key(2), 60)
        assert time.monotonic() - began < 0.3 + 0.5
        assert caught.value.reason == Reason.REPLAY_UNAVAILABLE
        other.execute("ROLLBACK")
    other.close()
    time.sleep(0.5)
    assert store.claim(key(3), 60)
    assert not store.claim(key(1), 60)
    store.close()


def test_a_postgresql_that_nobody_hears_from_costs_the_timeout_and_is_left_for_a_new_connection() -> None:
    cluster = shared_cluster()
    url = cluster.new_database()
    with Forwarder(cluster.port) as between:
        store = SqlReplayStore(url.replace(f":{cluster.port}/", f":{between.port}/"), timeout_s=0.3)
        store.check()
        assert store.claim(key(1), 60)
        between.freeze()
        for number in range(2, 5):
            began = time.monotonic()
            with pytest.raises(UnavailableError) as caught:
                store.claim(key(number), 60)
            assert time.monotonic() - began < 0.3 + 0.5
            assert caught.value.reason == Reason.REPLAY_UNAVAILABLE
        time.sleep(1)
        between.thaw()
        assert store.claim(key(9), 60)
        assert not store.claim(key(1), 60)
        store.close()
