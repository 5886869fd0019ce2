"""Who polls is remembered for as long as it matters; what is said again, and what is written, is paced."""

from __future__ import annotations

from dataclasses import replace

import pytest

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.keys.catalogs.memory_fleet import MemoryFleet
from sealwright.keys.fleet import Enforced, HeldKey, Member, Outcome
from sealwright.keys.live_fleet import LiveFleet
from sealwright.services.key_service import polling_verifiers
from sealwright.services.key_service.polling_verifiers import BURST, Poller, PollingVerifiers


class Failing(MemoryFleet):
    """A store that may be down."""

    down = False

    def put(self, members: object) -> None:
        if self.down:
            raise sw.UnavailableError(sw.Reason.CATALOG_UNAVAILABLE, "down")
        super().put(members)  # type: ignore[arg-type]


class Front:
    def __init__(self) -> None:
        self.clock, self.store = ManualClock(), Failing()
        self.verifiers = PollingVerifiers(LiveFleet(self.store, self.clock), self.clock)

    def member(self, instance: str = "one", sequence: int = 1, name: str = "orders") -> Member:
        now = self.clock.now()
        keys = {"k": HeldKey(now, now, now)}
        return Member(name, instance, now, now, {"default": Enforced(sequence, now, now, keys)})

    def write(self) -> int:
        taken = self.verifiers.take()
        self.verifiers.flush(taken)
        if self.verifiers.failure is not None:
            self.verifiers.put_back(taken)
        return len(taken)


@pytest.fixture
def front() -> Front:
    return Front()


def test_the_same_thing_is_said_again_after_a_longer_pause_each_time() -> None:
    poller = Poller(0.0)
    pauses, now = [], 0.0
    for _ in range(7):
        due, soonest_s = poller.due(["event"], now)
        while not due:
            now += soonest_s
            pauses.append(soonest_s)
            due, soonest_s = poller.due(["event"], now)
        poller.note(due, now)
    assert pauses == [1, 2, 4, 8, 8, 8]


def test_something_else_is_said_at_once_and_what_was_heeded_is_new_when_it_comes_back() -> None:
    poller = Poller(0.0)
    poller.note(["event"], 0.0)
    assert poller.due(["event", "trial"], 0.0) == (["trial"], 1.0)
    assert poller.due([], 0.1) == ([], 8.0)
    assert poller.due(["event"], 0.2)[0] == ["event"]


def test_a_change_is_written_at_once_and_what_is_as_before_once_in_ten_seconds(front: Front) -> None:
    front.verifiers.hear(front.member())
    assert front.write() == 1
    front.clock.advance(0.5)
    front.verifiers.hear(front.member(sequence=2))
    assert front.write() == 0  # once in a second
    front.clock.advance(0.5)
    assert front.write() == 1
    front.clock.advance(5)
    front.verifiers.hear(front.member(sequence=2))
    assert front.write() == 0
    front.clock.advance(5)
    assert front.write() == 1
    assert front.write() == 0
    (stored,) = front.store.members()
    assert (stored.last_seen_at, stored.issuers["default"].sequence) == (front.clock.now() - 5, 2)


def test_a_result_of_a_trial_is_written_at_once(front: Front) -> None:
    front.verifiers.hear(front.member())
    front.write()
    front.clock.advance(1)
    outcome = Outcome("rejected", "key.revoked", front.clock.now())
    front.verifiers.hear(replace(front.member(), tried={"canary:1": outcome}))
    assert front.write() == 1


def test_what_could_not_be_written_is_written_later_and_nobody_is_told_that_all_is_well(front: Front) -> None:
    front.store.down = True
    front.verifiers.hear(front.member())
    front.write()
    assert front.verifiers.failure is not None
    assert front.verifiers.failure.reason == "catalog.unavailable"
    front.clock.advance(120)
    assert front.write() == 1  # kept, though nobody was heard for long
    front.store.down = False
    front.clock.advance(1)
    front.write()
    assert front.verifiers.failure is None
    assert len(front.store.members()) == 1


def test_one_process_may_poll_so_often(front: Front) -> None:
    for _ in range(BURST):
        front.verifiers.hear(front.member())
    with pytest.raises(sw.RejectedError) as caught:
        front.verifiers.hear(front.member())
    assert caught.value.reason == "request.too_many"
    front.verifiers.hear(front.member("two"))
    front.clock.advance(0.25)
    front.verifiers.hear(front.member())


def test_a_credential_has_so_many_processes_and_old_ones_make_room(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling_verifiers, "MOST_OF_ONE_NAME", 2)
    front.verifiers.hear(front.member("one"))
    front.verifiers.hear(front.member("two"))
    with pytest.raises(sw.RejectedError):
        front.verifiers.hear(front.member("three"))
    front.verifiers.hear(front.member("three", name="billing"))
    front.write()
    front.clock.advance(61)
    front.write()
    front.verifiers.hear(front.member("three"))
