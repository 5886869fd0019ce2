"""FanOut: a broken observer changes nothing."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sealwright.events import Event
from sealwright.telemetry.fan_out import FanOut


class Remembering:
    def __init__(self) -> None:
        self.seen: list[Event] = []

    def observe(self, event: Event) -> None:
        self.seen.append(event)


class Broken:
    def observe(self, event: Event) -> None:
        raise RuntimeError("a secret text")


class Interrupted:
    def observe(self, event: Event) -> None:
        raise KeyboardInterrupt


def test_every_observer_sees_every_event_in_order(happened: Any) -> None:
    first, second = Remembering(), Remembering()
    events = happened.every_kind()
    fan_out = FanOut(first, second)
    for event in events:
        fan_out.observe(event)
    assert first.seen == second.seen == events
    assert fan_out.failures == 0


def test_a_broken_observer_is_counted_and_harms_neither_the_caller_nor_the_others(
    happened: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    before, after = Remembering(), Remembering()
    fan_out = FanOut(before, Broken(), after, Broken())
    fan_out.observe(happened.signed())
    assert before.seen == after.seen == [happened.signed()]
    assert fan_out.failures == 2
    assert capfd.readouterr() == ("", "")


def test_failures_in_many_threads_are_all_counted(happened: Any) -> None:
    fan_out = FanOut(Broken())
    event = happened.called()

    def observe_many() -> None:
        for _ in range(500):
            fan_out.observe(event)

    threads = [threading.Thread(target=observe_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fan_out.failures == 4000


def test_an_interrupt_is_not_swallowed(happened: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        FanOut(Interrupted()).observe(happened.signed())


def test_without_observers_nothing_happens(happened: Any) -> None:
    FanOut().observe(happened.signed())
