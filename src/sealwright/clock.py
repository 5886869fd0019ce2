"""The one reader of the time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: ``now`` in seconds since the epoch (UTC), ``monotonic`` for durations."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


_SET_BACK_S = 1.0  # a clock that is behind by more was set back


class SystemClock:
    """The machine's own clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class SleeplessClock:
    """Its ``monotonic`` also counts the time for which this process was frozen, as far as the wall clock tells.

    A clock that is set forward makes things older, which is the safe side; one that is set back makes nothing younger.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = (clock.now() - clock.monotonic(), 0.0)  # the wall ahead of the other clock, and the time slept

    def now(self) -> float:
        return self._clock.now()

    def monotonic(self) -> float:
        awake_s = self._clock.monotonic()
        ahead_s, (before_s, slept_s) = self._clock.now() - awake_s, self._seen
        if ahead_s > before_s:
            slept_s += ahead_s - before_s
        if ahead_s > before_s or ahead_s < before_s - _SET_BACK_S:
            self._seen = (ahead_s, slept_s)  # one reference, so that no thread sees half of it
        return awake_s + slept_s


class ManualClock:
    """A clock that moves only when told to; for tests and rehearsals."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock: forward, or back with negative seconds. No time passes."""
        self._now += seconds


SYSTEM_CLOCK = SystemClock()
