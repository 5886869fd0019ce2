"""The results as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import signing_report
from benchmarks.contestants import CONTROL, OBSERVED, OURS, RAW
from benchmarks.results import PEERS, Results
from benchmarks.rows import Row
from benchmarks.steps import Steps
from benchmarks.tables import new_table
from benchmarks.targets import OVER_RAW, Verdict
from benchmarks.threads import Threads

WIDTH = 132
NOTHING = "-"


def show(results: Results) -> None:
    console = Console()
    if console.width < WIDTH:
        console = Console(width=WIDTH)
    console.print(
        _rows("Over the raw primitive (medians, one run)", results.rows, (CONTROL, OBSERVED, *PEERS), targets=True)
    )
    if results.newer.missing:
        console.print(f"ryjwt: {results.newer.missing}\n")
    else:
        title = f"The same under {results.newer.python}, with ryjwt"
        console.print(_rows(title, results.newer.rows, (CONTROL, OBSERVED, "ryjwt"), against="ryjwt"))
    console.print(_rows("Tokens of 1 KB to 1 MB, verified", results.sizes, (OBSERVED, *PEERS)))
    console.print(_threads(results.threads))
    console.print(*(_steps(verb, results.steps) for verb in ("verify", "sign")))
    console.print(*signing_report.tables(results.backends, results.modes, results.endpoint))
    console.print(verdict_table(results.verdicts()))
    for note in results.notes():
        console.print(f"[dim]{NOTHING} {note}[/dim]", highlight=False)


def _rows(
    title: str, rows: Iterable[Row], names: Sequence[str], *, targets: bool = False, against: str | None = None
) -> Table:
    limits = ["at most", ""] if targets else []
    compared = [f"ours over {against}"] if against else []
    table = new_table(title, "row", "raw µs", f"[bold]{OURS}[/bold]", *limits, *names, *compared)
    for row in rows:
        cells = [" ".join(filter(None, (row.verb, row.alg, row.label))), f"{row.seconds[RAW] * 1e6:.2f}"]
        cells.append(f"[bold]{_times(row.ratio(OURS))}[/bold]")
        if targets:
            verdict = Verdict("", OVER_RAW[row.verb][row.alg], row.ratio(OURS))
            cells += [_times(verdict.limit), _met(verdict)]
        cells += [_times(row.ratio(name)) for name in names]
        if against:
            cells.append(_times(row.ratio(OURS, against)))
        table.add_row(*cells)
    return table


def _threads(found: Sequence[Threads]) -> Table:
    names = (RAW, OURS, *PEERS)
    table = new_table("2 threads: tokens verified per second (and as a multiple of 1 thread)", "row", *names)
    for one in found:
        cells = [
            f"{one.per_second[name]:,.0f} ({one.over_one_thread[name]:.2f})" if name in one.per_second else NOTHING
            for name in names
        ]
        table.add_row(f"verify {one.alg}", *cells)
    return table


def _steps(verb: str, found: Sequence[Steps]) -> Table:
    chosen = [one for one in found if one.verb == verb]
    table = new_table(f"Ours by step, to {verb}: µs and share", "step", *(one.alg for one in chosen))
    for name in chosen[0].seconds if chosen else ():
        table.add_row(name, *(_share(one.seconds[name], one.whole) for one in chosen))
    table.add_section()
    table.add_row("the whole call", *(_share(one.whole, one.whole) for one in chosen))
    table.add_row("of it the raw primitive", *(_share(one.raw, one.whole) for one in chosen))
    return table


def verdict_table(verdicts: Iterable[Verdict]) -> Table:
    table = new_table("Targets", "what", "target", "measured", "")
    for one in verdicts:
        bound = f"at {'least' if one.at_least else 'most'} {_times(one.limit)}"
        table.add_row(one.target, bound, _times(one.measured), _met(one))
    return table


def _times(ratio: float | None) -> str:
    if ratio is None:
        return NOTHING
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


def _share(part: float, whole: float) -> str:
    return f"{part * 1e6:.2f} {part / whole:>5.0%}"


def _met(verdict: Verdict) -> str:
    if verdict.met is None:
        return "not measured"
    return "[green]met[/green]" if verdict.met else "[red]missed[/red]"
