"""Retrying: repeat a backend call that was throttled or interrupted, a bounded number of times, with jitter."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import BackendError, Reason

T = TypeVar("T")
RETRYABLE = frozenset({Reason.BACKEND_THROTTLED, Reason.BACKEND_FAILED})


@dataclass(frozen=True, slots=True)
class Retrying:
    """``attempts`` in all, waiting up to ``first_wait_s`` and twice as long each time, never past ``deadline_s``.

    The wait is drawn from zero to its bound ("full jitter"), so that replicas which failed together do not
    come back together. Only BackendError with a reason in ``reasons`` is repeated.
    """

    attempts: int = 4
    first_wait_s: float = 0.1
    longest_wait_s: float = 2.0
    deadline_s: float = 8.0
    reasons: frozenset[Reason] = RETRYABLE
    clock: Clock = SYSTEM_CLOCK
    sleep: Callable[[float], None] = time.sleep

    def call(self, answer: Callable[[], T]) -> T:
        """The first answer that comes; otherwise the last BackendError."""
        ends = self.clock.monotonic() + self.deadline_s
        for attempt in range(1, self.attempts + 1):
            try:
                return answer()
            except BackendError as error:
                wait_s = random.uniform(0, min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1)))  # noqa: S311
                late = self.clock.monotonic() + wait_s >= ends
                if error.reason not in self.reasons or attempt == self.attempts or late:
                    raise
            self.sleep(wait_s)
        raise AssertionError("unreachable")
