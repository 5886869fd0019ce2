"""Fresh interpreters, cold and warm, beside PyJWT's PyJWKClient: ``python -m benchmarks.serverless [--quick]``."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

import sealwright as sw
from benchmarks.key_cache.rig import running_rig
from benchmarks.tables import new_table
from benchmarks.versions import versions
from benchmarks.work import AUDIENCE, ISSUER

ALGORITHMS = ("ES256", "RS256")
CONTESTANTS = ("ours, baked", "ours", "PyJWT")
PEER = "PyJWT"
ROUNDS, LIFETIME_S = 15, 3600
CHILD = Path(__file__).with_name("child.py")
RESULTS = Path(__file__).parents[1] / "results" / "serverless.json"
Seen = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.serverless", description="Functions, cold and warm.")
    parser.add_argument("--quick", action="store_true", help="three rounds: is it working? Not for quoting")
    found = measure(3 if parser.parse_args(arguments).quick else ROUNDS)
    show(found)
    RESULTS.parent.mkdir(exist_ok=True)
    facts = {"machine": f"{os.cpu_count()} cores", "load_average": os.getloadavg()[0], "versions": versions("PyJWT")}
    RESULTS.write_text(json.dumps({**facts, "found": found}, indent=2) + "\n", "utf-8")
    Console().print("written: benchmarks/results/serverless.json", highlight=False)


def measure(rounds: int, algorithms: Sequence[str] = ALGORITHMS) -> dict[str, dict[str, Seen]]:
    """Medians in milliseconds, by algorithm and contestant."""
    found: dict[str, dict[str, Seen]] = {}
    with running_rig() as rig, tempfile.TemporaryDirectory() as folder, Console(stderr=True).status("") as status:
        for algorithm in algorithms:
            status.update(algorithm)
            key = sw.PrivateJWK.generate(algorithm)
            realm, baked = rig.realm(key), Path(folder) / f"{algorithm}.json"
            sw.RemoteJWKSet(realm.url, background=False).bake(baked)
            token = sw.sign_claims({"sub": "u"}, key, issuer=ISSUER, audience=AUDIENCE, lifetime_s=LIFETIME_S)
            realm.forget()
            seen = _rounds(rounds, realm.url, algorithm, str(baked), token)
            assert realm.since() == 2 * (rounds + 1)  # one fetch for each instance, and none where keys were baked
            found[algorithm] = {name: _medians(seen[name]) for name in CONTESTANTS}
    return found


def show(found: dict[str, dict[str, Seen]]) -> None:
    """Ratios to the peer of the same run: a smaller number is better."""
    table = new_table("Functions, as multiples of PyJWT", "", "import", "first verify", "cold, both", "warm")
    for algorithm, seen in found.items():
        for name in CONTESTANTS:
            ratios = [seen[name][part] / seen[PEER][part] for part in ("import_ms", "first_ms", "cold_ms", "warm_ms")]
            table.add_row(f"{algorithm}, {name}", *(f"{ratio:.2f}" for ratio in ratios))
    Console().print(table)


def _rounds(rounds: int, url: str, algorithm: str, baked: str, token: str) -> dict[str, list[Seen]]:
    """All take turns in shuffled order; the first round, which may compile and fill caches, does not count."""
    seen: dict[str, list[Seen]] = {name: [] for name in CONTESTANTS}
    for number in range(rounds + 1):
        for name in random.sample(CONTESTANTS, len(CONTESTANTS)):
            one = _instance(name, url, algorithm, baked if "baked" in name else "", token)
            if number:
                seen[name].append(one)
    return seen


def _instance(*arguments: str) -> Seen:
    command = [sys.executable, str(CHILD), *arguments[:4], ISSUER, AUDIENCE, *arguments[4:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    one: dict[str, Any] = json.loads(done.stdout)
    return {**one, "cold_ms": one["import_ms"] + one["first_ms"]}


def _medians(seen: list[Seen]) -> Seen:
    return {part: median(one[part] for one in seen) for part in seen[0]}


if __name__ == "__main__":
    main()
