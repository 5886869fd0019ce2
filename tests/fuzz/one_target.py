"""One process that feeds one target until its time or its number of runs is spent, and writes what it measured.

libFuzzer takes the process over and ends it; so the target itself counts, and ends the process when it is done.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["sealwright"]):
    import seeds  # noqa: F401 - instrumented before the targets import it
    import targets
from mutation import json_mutator

WARM_UP = 0.25  # the share of the time or of the runs after which memory must no longer grow
_BYTES = {"base64url", "compact", "verify", "verify_parts", "key_file_public", "key_file_private"}  # no JSON at the top
_KEPT = 3


def main() -> None:
    name, seconds, runs, result, *flags = sys.argv[1:]
    target = (targets.TARGETS | targets.PLANTED)[name]
    corpus = Path(next(flag for flag in flags if not flag.startswith("-")))
    watch = Watch(target, float(seconds), int(runs), Path(result), at_least=len(list(corpus.iterdir())) + 2)
    atexit.register(watch.write)  # libFuzzer runs it after a crash, and only then
    mutator: dict[str, Any] = {} if name in _BYTES else {"custom_mutator": json_mutator(_mutate)}
    atheris.Setup([name, *flags], watch, **mutator)
    atheris.Fuzz()


def _mutate(data: bytes, max_size: int) -> bytes:
    mutated: bytes = atheris.Mutate(data, max_size)  # looked up late: Setup puts another function under this name
    return mutated


class Watch:
    """Calls the target; keeps the slowest inputs and the memory after the warm-up.

    However slow the machine is, ``at_least`` so many runs: libFuzzer tells its coverage after what it begins with.
    """

    def __init__(self, target: targets.Target, seconds: float, runs: int, result: Path, *, at_least: int) -> None:
        self.target, self.seconds, self.limit, self.result = target, seconds, runs, result
        self.at_least = at_least
        self.runs = 0
        self.slowest: list[tuple[int, bytes]] = []  # CPU time in ns: other processes on this machine do not count
        self.bar = 0
        self.began = time.monotonic()
        self.warm_kb: int | None = None

    def __call__(self, data: bytes) -> None:
        before = time.thread_time_ns()
        self.target(data)
        took = time.thread_time_ns() - before
        self.runs += 1
        if took > self.bar:
            self._keep(took, data)
        if not self.runs & 15:
            self._look_at_limits()

    def _keep(self, took: int, data: bytes) -> None:
        self.slowest = sorted([*self.slowest, (took, data)], reverse=True)[:_KEPT]
        self.bar = self.slowest[-1][0] if len(self.slowest) == _KEPT else 0

    def _look_at_limits(self) -> None:
        spent = max((time.monotonic() - self.began) / self.seconds, self.runs / self.limit)
        if self.warm_kb is None and spent >= WARM_UP:
            self.warm_kb = _peak_kb()
        if spent >= 1 and self.runs >= self.at_least:
            self.write()
            os._exit(0)

    def write(self) -> None:
        elapsed_s, peak_kb = time.monotonic() - self.began, _peak_kb()
        took, data = max(map(self._timed_again, (data for _, data in self.slowest)), default=(0, b""))
        measured = {
            "runs": self.runs,
            "per_second": round(self.runs / elapsed_s),
            "slowest_us": took // 1000,
            "slowest_bytes": len(data),
            "slowest_start": repr(data[:60]),
            "slowest_input": base64.b64encode(data).decode("ascii"),
            "peak_kb": peak_kb,
            "growth_kb": peak_kb - (self.warm_kb or peak_kb),
        }
        self.result.write_text(json.dumps(measured), "utf-8")

    def _timed_again(self, data: bytes) -> tuple[int, bytes]:
        """The least of three: what remains slow is slow by itself, not because the collector ran just then."""
        times = []
        for _ in range(3):
            before = time.thread_time_ns()
            self.target(data)
            times.append(time.thread_time_ns() - before)
        return min(times), data


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
