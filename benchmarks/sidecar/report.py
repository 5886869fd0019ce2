"""The tables of one run, and its JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.report import WIDTH, verdict_table
from benchmarks.sidecar.bars import verdicts
from benchmarks.sidecar.contestants import BARE, BARE_HEADERS, ENVOY, ENVOY_CACHED, HAPROXY, OURS
from benchmarks.sidecar.in_process import InProcess
from benchmarks.sidecar.load import Load
from benchmarks.sidecar.rounds import Row
from benchmarks.tables import new_table
from benchmarks.versions import versions

NAMES = (BARE, BARE_HEADERS, ENVOY, ENVOY_CACHED, HAPROXY)
NOTHING = "-"


@dataclass
class Found:
    """Everything that one run found. ``unchecked`` and ``missing`` are by contestant."""

    rows: Sequence[Row]
    in_process: Sequence[InProcess]
    unchecked: Mapping[str, Sequence[str]]
    missing: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        return {
            "machine": f"{os.cpu_count()} cores",
            "load_average": os.getloadavg()[0],
            "versions": versions("uvicorn", "uvloop", "httptools"),
            "missing": dict(self.missing),
            "unchecked": dict(self.unchecked),
            "rows": [asdict(row) for row in self.rows],
            "in_process": [asdict(one) for one in self.in_process],
            "verdicts": [{**asdict(one), "met": one.met} for one in verdicts(self.rows, self.in_process)],
        }


def show(found: Found) -> None:
    console = Console()
    if console.width < WIDTH:
        console = Console(width=WIDTH)
    for workers in sorted({row.workers for row in found.rows}):
        console.print(_rates(workers, [row for row in found.rows if row.workers == workers]))
    console.print(_costs([row for row in found.rows if row.workers == 1]))
    console.print(_waits([row for row in found.rows if row.paced]))
    console.print(_in_process(found.in_process))
    console.print(verdict_table(verdicts(found.rows, found.in_process)))
    for name, why in found.missing.items():
        console.print(f"[dim]{NOTHING} {name}: {why}[/dim]", highlight=False)
    for name, what in found.unchecked.items():
        console.print(f"[dim]{NOTHING} {name} does not check {', '.join(what)}[/dim]", highlight=False)


def _rates(workers: int, rows: Iterable[Row]) -> Table:
    where = "on one core, the load on another" if workers == 1 else "on the cores of the load"
    title = f"Answers a second, {workers} worker{'s' * (workers > 1)} {where}; ours over each in brackets"
    table = new_table(title, "tokens", f"[bold]{OURS}[/bold]", *NAMES)
    for row in rows:
        ours = row.loads.get(OURS)
        shown = f"[bold]{ours.per_second:,.0f}[/bold]" if ours else NOTHING
        table.add_row(row.title, shown, *(_rate(row, name) for name in NAMES))
    return table


def _rate(row: Row, name: str) -> str:
    load, ratio = row.loads.get(name), row.ratio(OURS, name)
    return NOTHING if load is None or ratio is None else f"{load.per_second:,.0f} ({ratio:.2f})"


def _costs(rows: Iterable[Row]) -> Table:
    return _each("Processor time of one answer, µs", rows, lambda row: row.loads, lambda one: f"{one.cpu_s * 1e6:.0f}")


def _waits(rows: Iterable[Row]) -> Table:
    def wait(one: Load) -> str:
        return f"{one.p50_s * 1e3:.2f} / {one.p95_s * 1e3:.2f} at {one.per_second:,.0f}/s"

    return _each("At half of saturation: p50 / p95, ms", rows, lambda row: row.paced, wait)


def _each(title: str, rows: Iterable[Row], loads: Any, shown: Any) -> Table:
    table = new_table(title, "tokens", f"[bold]{OURS}[/bold]", *NAMES)
    for row in rows:
        found = loads(row)
        table.add_row(row.title, *(shown(found[name]) if name in found else NOTHING for name in (OURS, *NAMES)))
    return table


def _in_process(found: Iterable[InProcess]) -> Table:
    table = new_table("In process, µs", "interpreter", "call", "one call")
    for one in found:
        for name, seconds in one.seconds.items():
            table.add_row(one.python, name, f"{seconds * 1e6:.2f}")
    return table
