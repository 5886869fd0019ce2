"""Run everything, print the tables, write them as JSON and as a plot: ``python -m benchmarks [ES256 …]``.

The experiments with key caches are apart, ``python -m benchmarks key-cache [A F X …]``, and so are functions:
``python -m benchmarks serverless``. The sidecar is part of a run over all algorithms, and may be had alone:
``python -m benchmarks sidecar``.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from rich.console import Console

from benchmarks import ours, peers, plot, report
from benchmarks.backends import measure_backends
from benchmarks.endpoint import measure_endpoint
from benchmarks.key_cache import __main__ as key_cache
from benchmarks.measuring import ROUNDS
from benchmarks.modes import measure_modes
from benchmarks.newer_python import measure_newer
from benchmarks.results import Results
from benchmarks.rows import measure_rows
from benchmarks.serverless import __main__ as serverless
from benchmarks.sidecar import __main__ as sidecar
from benchmarks.sizes import measure_sizes
from benchmarks.steps import measure_steps
from benchmarks.threads import ROUNDS as THREAD_ROUNDS
from benchmarks.threads import measure_threads
from benchmarks.work import ALGORITHMS
from sealwright.jose.algorithms import ASYMMETRIC

MODE_ALGORITHMS = ("ES256", "EdDSA")
LOAD_S = 3.0
_APART = {"key-cache": key_cache.main, "serverless": serverless.main, "sidecar": sidecar.main}
FOLDER = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Signing and verifying, side by side.")
    parser.add_argument("algorithms", nargs="*", help=f"only these of {' '.join(ALGORITHMS)}")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds: is it working? Not for quoting")
    arguments = parser.parse_args()
    apart = _APART.get("".join(arguments.algorithms[:1]))
    options = ["--quick"] if arguments.quick else []
    if apart is not None:
        apart([*arguments.algorithms[1:], *options])
        return
    chosen = arguments.algorithms or list(ALGORITHMS)
    if not set(chosen) <= set(ALGORITHMS):
        parser.error(f"choose from {' '.join(ALGORITHMS)}")
    warnings.simplefilter("ignore")  # one peer warns about the older name EdDSA at each call
    results = measure(chosen, 10 if arguments.quick else 1)
    report.show(results)
    FOLDER.mkdir(exist_ok=True)
    results.write_json(FOLDER / "latest.json")
    plot.write(results, FOLDER / "latest.svg")
    Console().print("written: benchmarks/results/latest.json and latest.svg", highlight=False)
    if not arguments.algorithms:
        sidecar.main(options)


def measure(algorithms: list[str], divisor: int) -> Results:
    contestants = (*ours.CONTESTANTS, *peers.CONTESTANTS)
    rounds = ROUNDS // divisor
    with Console(stderr=True).status("") as status:
        status.update("rows")
        rows = list(measure_rows(contestants, algorithms, rounds=rounds))
        status.update("rows with ryjwt")
        newer = measure_newer(algorithms, rounds=rounds)
        status.update("sizes")
        sizes = list(measure_sizes(contestants, algorithms, rounds=rounds // 3))
        status.update("threads")
        threads = list(measure_threads(contestants, algorithms, rounds=max(1, THREAD_ROUNDS // divisor)))
        status.update("steps")
        steps = list(measure_steps(algorithms, rounds=rounds))
        status.update("managed signing")
        managed = [alg for alg in algorithms if alg in ASYMMETRIC]
        seconds = LOAD_S / divisor
        backends = list(measure_backends(managed, rounds=max(3, rounds // 3), seconds=seconds))
        modes = list(measure_modes([alg for alg in managed if alg in MODE_ALGORITHMS], seconds=seconds))
        status.update("the batch endpoint")
        endpoint = list(measure_endpoint([alg for alg in managed if alg in MODE_ALGORITHMS], seconds=seconds))
    python_peers = [one.name for one in contestants if one.kind == "python"]
    return Results(algorithms, python_peers, rows, newer, sizes, threads, steps, backends, modes, endpoint)


if __name__ == "__main__":
    main()
