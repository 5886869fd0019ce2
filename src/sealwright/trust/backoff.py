"""Backoff: how long to leave a failing source alone."""

from __future__ import annotations

from secrets import SystemRandom

_RANDOM = SystemRandom()


class Backoff:
    """Doubles from ``first_s`` to ``maximum_s``, lengthened by up to ``jitter_ratio``. The caller holds the lock."""

    def __init__(self, first_s: float, maximum_s: float, jitter_ratio: float) -> None:
        self._first_s = first_s
        self._maximum_s = maximum_s
        self._jitter_ratio = jitter_ratio
        self._failures = 0
        self.until = float("-inf")  # monotonic seconds

    def failed(self, now: float) -> None:
        """Counted from the end of the attempt, so that a slow failure is not followed by the next at once."""
        pause_s = min(self._maximum_s, self._first_s * 2.0 ** min(self._failures, 64))
        self.until = now + pause_s * (1.0 + _RANDOM.uniform(0.0, self._jitter_ratio))
        self._failures += 1

    def succeeded(self) -> None:
        self._failures = 0
        self.until = float("-inf")
