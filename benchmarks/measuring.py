"""Times of calls, interleaved in rounds, so that a machine that slows down slows everybody."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import repeat
from typing import Any

Call = Callable[[], Any]
ROUNDS, BATCH_S = 90, 0.005


def medians(calls: Mapping[str, Call], *, rounds: int = ROUNDS, batch_s: float = BATCH_S) -> dict[str, float]:
    """Seconds for one call of each. Every round times all of them, in an order of its own: neighbours leave traces."""
    times = {name: repetitions(call, batch_s) for name, call in calls.items()}
    took: dict[str, list[float]] = {name: [] for name in calls}
    order, shuffled = list(calls), random.Random(0)
    with without_collector():
        for _ in range(rounds):
            shuffled.shuffle(order)
            for name in order:
                calls[name]()  # the caches are the last contestant's; the first call brings in one's own
                took[name].append(timed(calls[name], times[name]) / times[name])
    return {name: statistics.median(values) for name, values in took.items()}


def repetitions(call: Call, batch_s: float) -> int:
    """How many calls fill a batch; the first one warms up."""
    call()
    return max(1, int(batch_s / max(timed(call, 3) / 3, 1e-7)))


def timed(call: Call, times: int) -> float:
    began = time.perf_counter()
    for _ in repeat(None, times):
        call()
    return time.perf_counter() - began


@contextmanager
def without_collector() -> Iterator[None]:
    """No collection of garbage in the middle of somebody's turn (timeit does the same)."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
