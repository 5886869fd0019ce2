"""ReplayQuota: how much of a shared store one issuer may use through this process, so that it starves no other."""

from __future__ import annotations

import heapq
import threading

from sealwright.trust.replay import full


class ReplayQuota:
    """Counts entries that still live; ``now`` is monotonic. With several threads it may be passed by as many."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._ends: list[float] = []
        self._lock = threading.Lock()

    def check(self, now: float) -> None:
        """Raises UnavailableError ``replay.full``."""
        with self._lock:
            while self._ends and self._ends[0] <= now:
                heapq.heappop(self._ends)
            if len(self._ends) >= self._maximum:
                raise full()

    def count(self, ends: float) -> None:
        with self._lock:
            heapq.heappush(self._ends, ends)
