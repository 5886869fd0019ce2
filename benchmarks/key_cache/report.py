"""What the experiments found, as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from benchmarks.key_cache.bars import BARS, TOLD, Value, better_peers
from benchmarks.key_cache.clients import CONTESTANTS
from benchmarks.tables import new_table

WIDTH = 190
Found = Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True)
class Verdict:
    """One bar and one client of ours; ``better`` are the peers that did better."""

    name: str
    who: str
    met: bool | None
    better: list[str]


def verdicts(found: Found) -> list[Verdict]:
    peers = {one.name: found[one.name] for one in CONTESTANTS if not one.is_ours and one.name in found}
    ours = [one.name for one in CONTESTANTS if one.is_ours and one.name in found]
    return [
        Verdict(name, who, bar.is_met(found[who][name]), better_peers(name, found[who], peers))
        for name, bar in BARS.items()
        for who in ours
        if name in found[who]
    ]


def show(found: Found, missing: Mapping[str, str]) -> None:
    console = Console()
    if console.width < WIDTH:
        console = Console(width=WIDTH)
    names = [one.name for one in CONTESTANTS if one.name in found]
    table = new_table("Key caches under stress (one run; counts are exact, times are indicative)",
                      "experiment", "bar", *names, "ours")  # fmt: skip
    judged = verdicts(found)
    for measure in [*BARS, *TOLD]:
        if any(measure in found[name] for name in names):
            mine = [one for one in judged if one.name == measure]
            bar = BARS[measure].limit if measure in BARS else ""
            table.add_row(measure, bar, *(_shown(found[name], measure) for name in names), _judgement(mine))
    console.print(table)
    for name, why in missing.items():
        console.print(f"[bold yellow]SKIPPED[/bold yellow] {name}: {why}", highlight=False)
    for one in judged:
        if one.better:
            console.print(f"{', '.join(one.better)} did better than {one.who} at {one.name}", highlight=False)
    good = sum(bool(one.met) and not one.better for one in judged)
    console.print(f"{good} of {len(judged)}: the bar is met, and no peer did better", highlight=False)


def _shown(seen: Mapping[str, Value], measure: str) -> str:
    if measure not in seen:
        return ""
    value = seen[measure]
    if value is None:
        return "never"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    return f"{value:.3f}" if value < 10 else f"{value:,.0f}"


def _judgement(mine: list[Verdict]) -> str:
    if not mine:
        return ""
    if any(one.better for one in mine):
        return "[red]worse[/red]"
    return "[green]met[/green]" if all(one.met for one in mine) else "[red]missed[/red]"
