"""RefetchBudget: a token bucket for the fetches that strangers can cause by naming unknown kids."""

from __future__ import annotations


class RefetchBudget:
    """``burst`` fetches at once, then one in every ``interval_s`` seconds. The caller holds the lock."""

    def __init__(self, burst: int, interval_s: float) -> None:
        self._burst = float(burst)
        self._interval_s = interval_s
        self._left = self._burst
        self._counted_at = 0.0

    def reserve(self, now: float) -> bool:
        """Take one fetch from the budget; False when it is used up."""
        earned = max(0.0, now - self._counted_at) / self._interval_s
        self._left = min(self._burst, self._left + earned)
        self._counted_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
