"""Every store: a key is claimed by exactly one caller while it lives, whoever asks and however many ask at once."""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop

from sealwright.errors import Reason, UnavailableError
from sealwright.trust.replay import KEY_BYTES, ReplayStore


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def test_a_key_is_claimed_once(replay_store: ReplayStore) -> None:
    one, other = new_key(), new_key()
    assert [replay_store.claim(one, 60) for _ in range(3)] == [True, False, False]
    assert replay_store.claim(other, 60)


def test_of_many_threads_exactly_one_claims(replay_store: ReplayStore) -> None:
    with ThreadPoolExecutor(16) as pool:
        for _ in range(40):
            key, barrier = new_key(), threading.Barrier(16)

            def claim(key: bytes = key, barrier: threading.Barrier = barrier) -> bool:
                barrier.wait(10)
                return replay_store.claim(key, 60)

            assert sum(pool.map(lambda _: claim(), range(16))) == 1


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_of_many_tasks_exactly_one_claims(replay_store: ReplayStore, run: object) -> None:
    async def claim_all() -> list[bool]:
        return await asyncio.gather(*(replay_store.aclaim(key, 60) for key in keys))

    distinct = [new_key() for _ in range(50)]
    keys = distinct * 8
    assert sum(run(claim_all())) == 50  # type: ignore[operator]


def test_threads_and_tasks_share_what_was_claimed(replay_store: ReplayStore) -> None:
    key = new_key()
    assert replay_store.claim(key, 60)
    assert not asyncio.run(replay_store.aclaim(key, 60))


def test_a_key_lives_as_long_as_was_said_and_is_free_again_after_it(replay_store: ReplayStore) -> None:
    short, longer = new_key(), new_key()
    assert replay_store.claim(short, 0.4)
    assert replay_store.claim(longer, 60)
    assert not replay_store.claim(short, 0.4)  # and does not live longer for it
    time.sleep(0.45)
    assert replay_store.claim(short, 60)
    assert not replay_store.claim(short, 60)
    assert not replay_store.claim(longer, 60)


@pytest.mark.parametrize("ttl_s", [0, -1, math.nan, math.inf, -math.inf])
def test_a_life_that_is_none_is_a_fault_of_the_caller(replay_store: ReplayStore, ttl_s: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        replay_store.claim(new_key(), ttl_s)
    with pytest.raises(ValueError, match="positive and finite"):
        asyncio.run(replay_store.aclaim(new_key(), ttl_s))


def test_the_shortest_life_is_one(replay_store: ReplayStore) -> None:
    assert replay_store.claim(new_key(), 1e-9)


def test_a_closed_store_claims_nothing(replay_store: ReplayStore) -> None:
    replay_store.claim(new_key(), 60)
    replay_store.close()
    replay_store.close()
    for claim in (lambda: replay_store.claim(new_key(), 60), lambda: asyncio.run(replay_store.aclaim(new_key(), 60))):
        with pytest.raises(UnavailableError) as caught:
            claim()
        assert caught.value.reason == Reason.REPLAY_UNAVAILABLE


def test_a_closed_store_leaves_no_thread(replay_store: ReplayStore) -> None:
    replay_store.claim(new_key(), 60)
    replay_store.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("sealwright-replay")]


def test_a_store_that_was_opened_before_a_fork_works_in_parent_and_child(replay_store: ReplayStore) -> None:
    before, in_child, after = new_key(), new_key(), new_key()
    assert replay_store.claim(before, 60)
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = not replay_store.claim(before, 60) and replay_store.claim(in_child, 60)
            replay_store.close()
        finally:
            os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not replay_store.claim(before, 60)
    assert replay_store.claim(after, 60)
    assert replay_store.claim(in_child, 60) == (replay_store.figures().store == "memory")


def test_a_fork_in_the_middle_of_claims_leaves_nobody_stuck(replay_store: ReplayStore) -> None:
    """A child that saw the locks of its parent's database would wait for them for ever."""
    done = threading.Event()

    def claims() -> None:
        while not done.is_set():
            replay_store.claim(new_key(), 60)

    claimers = [threading.Thread(target=claims) for _ in range(2)]
    for one in claimers:
        one.start()
    try:
        ends = [_claimed_in_child(replay_store, new_key()) for _ in range(12)]
    finally:
        done.set()
        for one in claimers:
            one.join()
    assert ends == [0] * 12


def _claimed_in_child(replay_store: ReplayStore, key: bytes) -> int:
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = replay_store.claim(key, 60) and not replay_store.claim(key, 60)
        finally:
            os._exit(0 if good else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_its_figures_say_how_it_does(replay_store: ReplayStore) -> None:
    for _ in range(3):
        replay_store.claim(new_key(), 60)
    replay_store.check()
    figures = replay_store.figures()
    assert figures.entries is not None
    assert (figures.errors, figures.evicted_unexpired) == (0, 0)
