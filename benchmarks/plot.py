"""The rows as bars: ratios to the raw primitive, on a logarithmic scale, ours highlighted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.contestants import OBSERVED, OURS
from benchmarks.results import PEERS, Results
from benchmarks.rows import VERBS, Row
from benchmarks.targets import OVER_RAW

COLOURS = {OURS: "#c2410c", OBSERVED: "#fdba74", "oxyjwt": "#334155", "ryjwt": "#0f172a"}
GREYS = ("#cbd5e1", "#b0bccb", "#94a3b8", "#7b8ba1")  # the peers built on Python and cryptography
TICKS = (1, 1.5, 2, 3, 5, 10, 20, 50, 100)


def write(results: Results, path: Path) -> None:
    mpl.use("Agg")
    figure = Figure(figsize=(12, 8), layout="constrained")
    for axes, verb in zip(figure.subplots(len(VERBS), 1), VERBS, strict=True):
        _draw(axes, results, verb)
    figure.savefig(path)


def _draw(axes: Any, results: Results, verb: str) -> None:
    rows = [row for row in results.rows if row.verb == verb]
    bars = list(_bars(results, verb))
    width = 0.85 / len(bars)
    for index, (name, label, found) in enumerate(bars):
        places, heights = [], []
        for group, row in enumerate(rows):
            ratio = next((one.ratio(name) for one in found if one.alg == row.alg), None)
            if ratio is not None:
                places.append(group + (index - (len(bars) - 1) / 2) * width)
                heights.append(ratio)
        axes.bar(places, heights, width * 0.92, label=label, color=COLOURS.get(name) or GREYS[PEERS.index(name)])
    for group, row in enumerate(rows):
        axes.hlines(OVER_RAW[verb][row.alg], group - 0.46, group + 0.46, colors="#15803d", linestyles="dashed")
    _dress(axes, rows, verb)


def _bars(results: Results, verb: str) -> Iterator[tuple[str, str, Sequence[Row]]]:
    for name in (OURS, OBSERVED, *PEERS):
        if any(name in row.seconds for row in results.rows if row.verb == verb):
            yield name, name, [row for row in results.rows if row.verb == verb]
    if results.newer.rows:
        yield "ryjwt", f"ryjwt ({results.newer.python})", [row for row in results.newer.rows if row.verb == verb]


def _dress(axes: Any, rows: Sequence[Row], verb: str) -> None:
    axes.set_yscale("log")
    axes.set_yticks(TICKS, [f"{tick:g} x" for tick in TICKS])
    axes.minorticks_off()
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(rows)), [row.alg for row in rows])
    axes.set_title(f"{verb}: time over the raw primitive (dashed: the target for ours)", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncols=4, fontsize="small", frameon=False)
