"""Run the experiments with every client that can be had: ``python -m benchmarks.key_cache [A F X …] [--quick]``."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.key_cache.bars import Value
from benchmarks.key_cache.clients import CONTESTANTS, Client, Commands, Contestant
from benchmarks.key_cache.experiments import EXPERIMENTS, FOR_DEFAULTS, x
from benchmarks.key_cache.report import show, verdicts
from benchmarks.key_cache.rig import Rig, running_rig
from benchmarks.versions import versions

RESULTS = Path(__file__).parents[1] / "results" / "key_cache.json"
QUICK_S = 3.0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.key_cache", description="What key caches do under stress.")
    parser.add_argument("experiments", nargs="*", help=f"only these of {' '.join(EXPERIMENTS)}")
    parser.add_argument("--quick", action="store_true", help="a short convoy: is it working? Not for quoting")
    parsed = parser.parse_args(arguments)
    chosen = parsed.experiments or list(EXPERIMENTS)
    if not set(chosen) <= set(EXPERIMENTS):
        parser.error(f"choose from {' '.join(EXPERIMENTS)}")
    found, missing = measure(chosen, quick=parsed.quick)
    show(found, missing)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(_written(found, missing), indent=2) + "\n", "utf-8")
    Console().print("written: benchmarks/results/key_cache.json", highlight=False)


def measure(chosen: Sequence[str], *, quick: bool) -> tuple[dict[str, dict[str, Value]], dict[str, str]]:
    """What each client did, by its name and the name of the measure; and why some could not be had."""
    commands, found, missing = Commands(), dict[str, dict[str, Value]](), dict[str, str]()
    with running_rig() as rig, Console(stderr=True).status("") as status:
        for one in CONTESTANTS:
            why = commands.missing(one)
            if why is not None:
                missing[one.name] = why
                continue
            with Client(one, commands, rig) as client:
                found[one.name] = {}
                for letter in _of(one, chosen):
                    status.update(f"{one.name}: {letter}")
                    found[one.name] |= _run(letter, rig, client, quick=quick)
    return found, missing


def _of(one: Contestant, chosen: Sequence[str]) -> list[str]:
    return [letter for letter in chosen if one.everything or letter in FOR_DEFAULTS]


def _run(letter: str, rig: Rig, client: Client, *, quick: bool) -> dict[str, Value]:
    experiment = partial(x, seconds=QUICK_S) if letter == "X" and quick else EXPERIMENTS[letter]
    return experiment(rig, client)


def _written(found: dict[str, dict[str, Value]], missing: dict[str, str]) -> dict[str, Any]:
    return {
        "machine": f"{os.cpu_count()} cores",
        "load_average": os.getloadavg()[0],
        "versions": versions("PyJWT"),
        "missing": missing,
        "found": found,
        "verdicts": [vars(one) for one in verdicts(found)],
    }


if __name__ == "__main__":
    main()
