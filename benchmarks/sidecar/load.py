"""Load by wrk: one thread that asks as fast as answers come, or with pauses."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sidecar.programs import Program, pinned

WALK = Path(__file__).with_name("walk.lua")
SET, TIMES = 200, 20  # the window, and how often each token comes


class RefusedError(Exception):
    """Somebody refused a good token, or did not answer: nothing that was measured counts."""


@dataclass(frozen=True)
class Load:
    """What one run found. ``cpu_s`` is what one answer costs the program; ``tokens`` is how many were used."""

    per_second: float
    p50_s: float
    p95_s: float
    cpu_s: float
    tokens: int


def run(
    program: Program,
    url: str,
    tokens: Path,
    *,
    seconds: int,
    connections: int,
    skip: int = 0,
    repeated: bool = False,
    pause_ms: int | None = None,
    core: int | None = None,
) -> Load:
    """Raises RefusedError unless every answer is 200. With ``pause_ms`` each connection rests as long, at random."""
    walk = (str(tokens), str(skip), str(SET if repeated else 0), str(TIMES), str(pause_ms or 0))
    paced = () if pause_ms is None else ("-H", "X-Pause: 1")
    timing = ("-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s")
    command = pinned(("wrk", *timing, *paced, "-s", str(WALK), url, "--", *walk), core)
    before_s = program.cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    used_s = program.cpu_s() - before_s
    found = _said(program, done.stdout)
    if found["refused"] or found["broken"] or not found["requests"]:
        raise RefusedError(f"{program.name}: {found}")
    per_second = found["requests"] / found["seconds"]
    used = found["requests"] // TIMES + SET if repeated else found["requests"]
    return Load(per_second, found["p50_s"], found["p95_s"], used_s / found["requests"], int(used))


def _said(program: Program, printed: str) -> dict[str, float]:
    lines = [line for line in printed.splitlines() if line.startswith('{"requests"')]
    if not lines:
        raise RefusedError(f"{program.name}: wrk found nothing: {printed.strip()[-300:]}")
    found: dict[str, float] = json.loads(lines[-1])
    return found
