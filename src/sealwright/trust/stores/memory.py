"""MemoryReplayStore: the memory of one process. Every other process accepts the same once more."""

from __future__ import annotations

import heapq
import os
import threading

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.trust.replay import StoreFigures, full, unavailable, whole_milliseconds

_SWEPT_AT_ONCE = 16


class MemoryReplayStore:
    """Holds at most ``capacity`` entries and forgets none before its end: full, it raises ``replay.full``."""

    def __init__(self, capacity: int = 100_000, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._capacity, self._clock = capacity, clock
        self._ends: dict[bytes, float] = {}
        self._by_end: list[tuple[float, bytes]] = []
        self._locks = {os.getpid(): threading.Lock()}
        self._errors = 0
        self._closed = False

    def claim(self, key: bytes, ttl_s: float) -> bool:
        lasts_s = whole_milliseconds(ttl_s) / 1000
        with self._lock():
            if self._closed:
                raise unavailable("the store is closed")
            now = self._clock.monotonic()
            self._sweep(now)
            if self._ends.get(key, now) > now:
                return False
            if len(self._ends) >= self._capacity and key not in self._ends:
                self._errors += 1
                raise full()
            self._ends[key] = now + lasts_s
            heapq.heappush(self._by_end, (now + lasts_s, key))
            return True

    async def aclaim(self, key: bytes, ttl_s: float) -> bool:
        return self.claim(key, ttl_s)

    def check(self) -> None:
        """It is there."""

    def figures(self) -> StoreFigures:
        return StoreFigures("memory", len(self._ends), self._errors, 0)

    def close(self) -> None:
        with self._lock():
            self._closed = True
            self._ends.clear()
            self._by_end.clear()

    def _sweep(self, now: float) -> None:
        """A few at a time, and more than come in: nobody pays for many that end at once."""
        for _ in range(_SWEPT_AT_ONCE):
            if not self._by_end or self._by_end[0][0] > now:
                return
            ends, key = heapq.heappop(self._by_end)
            if self._ends.get(key) == ends:  # it was not claimed anew after its end
                del self._ends[key]

    def _lock(self) -> threading.Lock:
        """A lock of this process: at a fork, that of the parent may be held by a thread that the child has not."""
        return self._locks.get(os.getpid()) or self._locks.setdefault(os.getpid(), threading.Lock())
