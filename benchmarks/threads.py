"""Two threads that verify at the same time: how much more gets done than with one?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from benchmarks.contestants import OBSERVED, RAW, Contestant
from benchmarks.measuring import Call, repetitions, timed, without_collector
from benchmarks.rows import Row, verifying_calls
from benchmarks.work import Work

BATCH_S, ROUNDS = 0.04, 7


@dataclass
class Threads:
    """Tokens per second with two threads, and as a multiple of one thread's."""

    alg: str
    per_second: dict[str, float] = field(default_factory=dict)
    over_one_thread: dict[str, float] = field(default_factory=dict)


def measure_threads(contestants: Sequence[Contestant], algorithms: Iterable[str], *, rounds: int) -> Iterator[Threads]:
    names = {RAW, *(one.name for one in contestants)} - {OBSERVED}
    with ThreadPoolExecutor(2) as pool:
        for alg in algorithms:
            calls = verifying_calls(Row(alg, "verify"), contestants, Work.of(alg))
            yield _measured(alg, {name: call for name, call in calls.items() if name in names}, pool, rounds)


def _measured(alg: str, calls: dict[str, Call], pool: ThreadPoolExecutor, rounds: int) -> Threads:
    times = {name: repetitions(call, BATCH_S) for name, call in calls.items()}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    with without_collector():
        for _ in range(rounds):
            for name, call in calls.items():
                rates[name].append(tuple(_rate(pool, call, times[name], threads) for threads in (1, 2)))
    result = Threads(alg)
    for name, pairs in rates.items():
        result.per_second[name] = statistics.median(two for _, two in pairs)
        result.over_one_thread[name] = statistics.median(two / one for one, two in pairs)
    return result


def _rate(pool: ThreadPoolExecutor, call: Call, times: int, threads: int) -> float:
    began = time.perf_counter()
    wait([pool.submit(timed, call, times) for _ in range(threads)])
    return threads * times / (time.perf_counter() - began)
