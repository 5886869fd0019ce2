"""The queue before a backend: so many at once, so many waiting, and nobody past a deadline."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from world import World

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.events import SigningWaited
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.signing_queue import Deadline, SigningQueue
from sealwright.keys.states import KeyState

WAIT_S = 20


class Busy:
    """A backend call that stands still until it is let go, and knows how many were in it at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.most, self._now, self._lock = 0, 0, threading.Lock()

    def __call__(self, item: int) -> int:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        assert self.go.wait(WAIT_S)
        with self._lock:
            self._now -= 1
        return item * 2


@pytest.fixture
def busy() -> Iterator[Busy]:
    call = Busy()
    yield call
    call.go.set()


def queue(**changed: Any) -> Any:
    return contextlib.closing(SigningQueue("hsm", **({"concurrency": 2} | changed)))


def eventually(check: Any) -> None:
    for _ in range(2000):
        if check():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never happened")


def test_a_batch_keeps_its_order_and_never_exceeds_the_concurrency(busy: Busy) -> None:
    with queue(concurrency=3) as one:
        later = threading.Timer(0.2, busy.go.set)
        later.start()
        assert one.each(busy, list(range(50)), None) == [number * 2 for number in range(50)]
        assert busy.most == 3


def test_a_batch_of_keys_in_memory_is_divided_among_the_cores_in_order(busy: Busy) -> None:
    with queue(concurrency=2, in_process=True) as one:
        later = threading.Timer(0.2, busy.go.set)
        later.start()
        assert one.each(busy, list(range(101)), None) == [number * 2 for number in range(101)]
        assert busy.most == 2
        busy.most = 0
        assert one.each(busy, list(range(25)), None) == [number * 2 for number in range(25)]
        assert busy.most == 1


def test_requests_and_batches_share_the_places_at_the_backend(busy: Busy) -> None:
    with queue(concurrency=2) as one:
        deadline = one.deadline()
        futures = [one.submit(lambda n=n: one.each(busy, [n], None), deadline) for n in range(6)]
        futures.append(one.submit(lambda: one.each(busy, list(range(6)), None), deadline, 6))
        eventually(lambda: busy.most == 2)
        busy.go.set()
        assert sum(len(future.result(WAIT_S)) for future in futures) == 12
        assert busy.most == 2
        assert (one.waiting, one.in_flight) == (0, 0)


def test_one_more_than_may_wait_is_turned_away_at_once_and_the_others_are_not(busy: Busy) -> None:
    events: list[SigningWaited] = []

    class Observer:
        def observe(self, event: Any) -> None:
            events.append(event)

    with queue(most_waiting=5, observer=Observer()) as one:
        taken = [one.submit(lambda: busy(1), one.deadline()) for _ in range(32)]
        eventually(lambda: one.waiting == 0)
        waiting = one.submit(lambda: busy(1), one.deadline(), 5)
        with pytest.raises(sw.UnavailableError) as caught:
            one.submit(lambda: busy(1), one.deadline())
        assert caught.value.reason == "signing.busy"
        assert (one.waiting, one.in_flight) == (5, 32)
        busy.go.set()
        assert [future.result(WAIT_S) for future in (*taken, waiting)] == [2] * 33
    assert [event.reason for event in events].count("signing.busy") == 1


def test_a_request_that_waited_too_long_is_not_signed(busy: Busy) -> None:
    clock = ManualClock()
    signed: list[int] = []
    with queue(clock=clock, deadline_s=2.0) as one:
        taken = [one.submit(lambda: busy(1), one.deadline()) for _ in range(32)]
        late = one.submit(lambda: signed.append(1), one.deadline())
        clock.advance(2.0)
        busy.go.set()
        with pytest.raises(sw.UnavailableError) as caught:
            late.result(WAIT_S)
        assert caught.value.reason == "signing.deadline"
        assert [future.result(WAIT_S) for future in taken] == [2] * 32
    assert signed == []


def test_a_place_at_a_backend_that_hangs_is_waited_for_until_the_deadline(busy: Busy) -> None:
    with queue(concurrency=1, deadline_s=0.2) as one:
        holding = one.submit(lambda: one.each(busy, [1], None), one.deadline())
        eventually(lambda: busy.most == 1)
        for items in ([1], [1, 2]):
            with pytest.raises(sw.UnavailableError) as caught:
                one.each(busy, items, one.deadline())
            assert caught.value.reason == "signing.deadline"
        busy.go.set()
        assert holding.result(WAIT_S) == [2]


def test_a_batch_has_the_deadline_once_more_for_each_further_hundred() -> None:
    clock = ManualClock()
    with queue(clock=clock, deadline_s=2.0) as one:
        assert [one.deadline(n).left_s() for n in (1, 100, 101, 500)] == [2.0, 2.0, 4.0, 10.0]


def test_a_closed_queue_takes_nothing() -> None:
    with queue() as one:
        pass
    with pytest.raises(sw.UnavailableError):
        one.submit(lambda: 1, one.deadline())
    assert one.waiting == 0


def test_a_failure_in_a_batch_is_raised_and_the_rest_is_not_asked_for() -> None:
    asked: list[int] = []

    def fail(item: int) -> int:
        asked.append(item)
        raise sw.BackendError(sw.Reason.BACKEND_FAILED, "down")

    with queue(concurrency=1) as one:
        with pytest.raises(sw.BackendError):
            one.each(fail, list(range(200)), None)
        with pytest.raises(sw.BackendError):  # behind whatever is left
            one.each(fail, [1000, 1001], None)
    assert len(asked) < 200


HANGING = """
import threading
from sealwright.keys.signing_queue import SigningQueue
queue, reached = SigningQueue("hsm", concurrency=2), threading.Event()
def hang(_):
    reached.set()
    threading.Event().wait()
for items in ([1], [1, 2]):
    queue.submit(lambda: queue.each(hang, items, None), queue.deadline())
reached.wait()
queue.close()
"""


def test_a_process_ends_although_its_backend_hangs() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], timeout=60, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_signature_that_comes_too_late_is_not_released(world: World) -> None:
    deadline = Deadline(world.clock.monotonic() + 2, world.clock)
    world.backend.after_call = lambda: world.clock.advance(3)
    with queue() as one:
        signer = ManagedSigner(
            world.catalog, {"local": world.backend}, "default", clock=world.clock, queues={"local": one}
        )
        with pytest.raises(sw.UnavailableError) as caught:
            signer.sign(b"{}", typ=None, actor="alice", deadline=deadline)
    assert caught.value.reason == "signing.deadline"
    assert "token.signed" not in [entry.action for entry in world.stored.audit()]


@pytest.mark.parametrize("in_process", [True, False])
def test_a_batch_through_a_queue_is_signed_in_order_by_one_key_in_one_entry(world: World, in_process: bool) -> None:
    with queue(in_process=in_process) as one:
        signer = ManagedSigner(
            world.catalog, {"local": world.backend}, "default", clock=world.clock, queues={"local": one}
        )
        signed = signer.sign_batch([(b"%d" % number, "x+jws") for number in range(40)], actor="alice")
    public = world.one(KeyState.ACTIVE).public_key()
    payloads = [sw.verify_signature(token.token, public).payload for token in signed]
    assert payloads == [b"%d" % number for number in range(40)]
    entries = [entry for entry in world.stored.audit() if entry.action == "token.signed"]
    assert [len(entry.facts["signatures"]) for entry in entries] == [40]
