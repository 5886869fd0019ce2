"""Measure the sidecar and what it is compared with: ``python -m benchmarks.sidecar [--quick]``."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.sidecar.contestants import BARE, BARE_HEADERS, Field, running
from benchmarks.sidecar.in_process import measure_in_process
from benchmarks.sidecar.proof import unchecked
from benchmarks.sidecar.report import Found, show
from benchmarks.sidecar.rounds import Row, cores, measure, pace
from benchmarks.sidecar.tokens import Tokens, make_tokens

RESULTS = Path(__file__).parents[1] / "results" / "sidecar.json"
ROUNDS = {1: 7, 2: 3}  # by number of workers
SECONDS, PACED_S, IN_PROCESS_ROUNDS = 1, 2, 90  # wrk counts whole seconds


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.sidecar", description="Decisions a second, side by side.")
    parser.add_argument("--quick", action="store_true", help="a tenth of it: is it working? Not for quoting")
    quick = parser.parse_args(arguments).quick
    if shutil.which("wrk") is None:
        Console().print("the sidecar is not measured: apt-get install wrk")
        return
    with Console(stderr=True).status("") as status, tempfile.TemporaryDirectory() as folder:
        found = measure_all(Path(folder), status.update, quick=quick)
    show(found)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found.to_dict(), indent=2) + "\n", "utf-8")
    Console().print("written: benchmarks/results/sidecar.json", highlight=False)


def measure_all(folder: Path, note: Callable[[str], None], *, quick: bool) -> Found:
    note("making tokens")
    tokens = make_tokens(folder, divisor=4 if quick else 1)
    rows: list[Row] = []
    gaps: dict[str, list[str]] = {}
    missing: dict[str, str] = {}
    for workers, rounds in ROUNDS.items():
        with running(folder, tokens, workers, cores(workers)[0]) as field:
            missing |= field.missing
            if workers == 1:
                gaps = _proven(field, tokens)
            some = list(measure(field, tokens, rounds=1 if quick else rounds, seconds=SECONDS, note=note))
            if workers == 1:
                pace(field, tokens, some, seconds=1 if quick else PACED_S, note=note)
            rows += some
    note("in process")
    in_process, without = measure_in_process(IN_PROCESS_ROUNDS // 9 if quick else IN_PROCESS_ROUNDS)
    return Found(rows, in_process, gaps, missing if without is None else missing | {"ryjwt": without})


def _proven(field: Field, tokens: Tokens) -> dict[str, list[str]]:
    """What each lets pass, of all algorithms that it knows."""
    found: dict[str, list[str]] = {}
    for name, one in field.running.items():
        if name not in (BARE, BARE_HEADERS):
            all_gaps = [gap for alg, url in one.urls.items() for gap in unchecked(url, tokens.works[alg])]
            if all_gaps:
                found[name] = list(dict.fromkeys(all_gaps))
    return found


if __name__ == "__main__":
    main()
