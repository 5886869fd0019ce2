"""Steadiness: whether the wall clock can be believed, judged by the monotonic one."""

from __future__ import annotations

from dataclasses import dataclass

from sealwright.clock import Clock

JUMP_S = 3600.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The time, and for how long the clock has not jumped; a first reading has nothing to be compared with."""

    now: float
    first: bool
    jumped: bool
    steady_s: float


class Steadiness:
    """Compares each reading with the first one since the last jump, so that small steps do not add up unseen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset: float | None = None
        self._since = 0.0

    def read(self) -> Reading:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        offset = now - monotonic
        first = self._offset is None
        jumped = self._offset is not None and abs(offset - self._offset) > JUMP_S
        if first or jumped:
            self._offset, self._since = offset, monotonic
        return Reading(now, first, jumped, monotonic - self._since)
