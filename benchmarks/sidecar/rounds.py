"""Rounds: everybody takes turns in shuffled order, with the same tokens, and the median of each counts."""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from benchmarks.sidecar import load
from benchmarks.sidecar.contestants import BARE, BARE_HEADERS, ENVOY, ENVOY_CACHED, HAPROXY, OURS, Field
from benchmarks.sidecar.load import Load
from benchmarks.sidecar.tokens import ALGORITHMS, Tokens

USES = {"different": (OURS, BARE, ENVOY, HAPROXY), "repeated": (OURS, BARE, BARE_HEADERS, ENVOY_CACHED)}
CONNECTIONS = 32  # of each worker
PAUSE_MS = 6


@dataclass
class Row:
    """One algorithm, use of tokens and number of workers: what each contestant did, by its name."""

    alg: str
    use: str
    workers: int
    loads: dict[str, Load] = field(default_factory=dict)
    paced: dict[str, Load] = field(default_factory=dict)  # at about half of the rate above
    used: dict[str, int] = field(default_factory=dict)  # tokens so far, of which each comes once

    @property
    def title(self) -> str:
        return f"{'Ed25519' if self.alg == 'EdDSA' else self.alg} {self.use}"

    def ratio(self, name: str, over: str) -> float | None:
        """Of the rates."""
        both = self.loads.get(name), self.loads.get(over)
        return None if both[0] is None or both[1] is None else both[0].per_second / both[1].per_second


def cores(workers: int) -> tuple[int | None, int | None]:
    """Where programs and load run: apart with one worker, wherever there is room with more."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if workers == 1 and len(available) > 1 else (None, None)


def measure(field: Field, tokens: Tokens, *, rounds: int, seconds: int, note: Callable[[str], None]) -> Iterator[Row]:
    rows = {(alg, use): Row(alg, use, field.workers) for use in USES for alg in ALGORITHMS}
    turns = [(row, name) for row in rows.values() for name in USES[row.use] if _takes_part(field, name, row.alg)]
    found: dict[tuple[str, str, str], list[Load]] = {}
    shuffled = random.Random(0)
    for number in range(rounds):
        shuffled.shuffle(turns)
        note(f"{field.workers} workers, round {number + 1} of {rounds}")
        for row, name in turns:
            one = _run(field, tokens, row, name, seconds=seconds)
            found.setdefault((row.alg, row.use, name), []).append(one)
    for (alg, use, name), loads in found.items():
        rows[alg, use].loads[name] = _median(loads)
    yield from rows.values()


def pace(field: Field, tokens: Tokens, rows: list[Row], *, seconds: int, note: Callable[[str], None]) -> None:
    """Half of the saturation of each: so many connections that rest a while, at random, after each answer."""
    for row in rows:
        note(f"half of saturation: {row.title}")
        for name, full in row.loads.items():
            run = partial(_run, field, tokens, row, name, pause_ms=PAUSE_MS)
            row.paced[name] = _paced(run, full.per_second / 2, seconds)


def _paced(run: Callable[..., Load], per_second: float, seconds: int) -> Load:
    """Corrected once, since a rest and an answer take longer than what was asked for."""
    connections = per_second * PAUSE_MS / 1000
    first = run(seconds=1, connections=max(1, round(connections)))
    return run(seconds=seconds, connections=max(1, round(connections * per_second / first.per_second)))


def _run(
    field: Field, tokens: Tokens, row: Row, name: str, *, connections: int | None = None, **options: object
) -> Load:
    """Goes on at the token where the last run with this contestant ended."""
    contestant = field.running[name]
    found = load.run(
        contestant.program,
        contestant.urls[row.alg],
        getattr(tokens, row.use)[row.alg],
        repeated=row.use == "repeated",
        connections=connections or CONNECTIONS * field.workers,
        core=cores(field.workers)[1],
        skip=row.used.get(name, 0),
        **options,  # type: ignore[arg-type]
    )
    row.used[name] = row.used.get(name, 0) + found.tokens
    return found


def _takes_part(field: Field, name: str, alg: str) -> bool:
    return name in field.running and alg in field.running[name].urls


def _median(loads: list[Load]) -> Load:
    return Load(*(statistics.median(values) for values in zip(*(vars(one).values() for one in loads), strict=True)))
