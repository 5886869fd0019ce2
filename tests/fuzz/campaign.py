"""Feeds every parser of the JOSE layer with made-up input, guided by coverage; exits with 1 when one misbehaves.

python tests/fuzz/campaign.py --seconds 60 | --runs 100000 [--target NAME ...] [--workers 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import seeds
import targets

LARGEST_INPUT_BYTES = 16 * 1024
LARGEST_GROWTH_KB = 64 * 1024  # after the warm-up; libFuzzer's own corpus is part of it
SLOWEST_US = 250_000
SLOW = "an input is slow"
_WITHOUT_LIMIT = 10**12


@dataclass
class Outcome:
    """What one target's campaign measured; a finding is one line and the tail of the log."""

    target: str
    measured: dict[str, Any] = field(default_factory=dict)
    coverage: int = 0
    findings: list[str] = field(default_factory=list)
    log: str = ""


def run(names: Sequence[str], folder: Path, *, seconds: float = _WITHOUT_LIMIT, runs: int = _WITHOUT_LIMIT,
        workers: int = 2) -> list[Outcome]:  # fmt: skip
    """Feed each target for so many seconds or runs. ``folder`` takes the corpora and what libFuzzer leaves behind."""
    made = seeds.corpora()
    (folder / "words.dict").write_text(seeds.dictionary(), "ascii")
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda name: _run_one(name, folder / name, made[name], seconds, runs), names))


def _run_one(name: str, folder: Path, inputs: Sequence[bytes], seconds: float, runs: int) -> Outcome:
    corpus, artefacts = folder / "corpus", folder / "artefacts"
    for made in (corpus, artefacts):
        made.mkdir(parents=True)
    for index, data in enumerate(inputs):
        (corpus / str(index)).write_bytes(data)
    result = folder / "measured.json"
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("one_target.py")), name, str(seconds), str(runs), str(result),
         str(corpus), f"-dict={folder.parent / 'words.dict'}", f"-artifact_prefix={artefacts}/",
         f"-max_len={LARGEST_INPUT_BYTES}", "-timeout=10", "-report_slow_units=2", "-rss_limit_mb=2048"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    return _judge(name, done.returncode, done.stdout.decode("utf-8", "replace"), result, sorted(artefacts.iterdir()))


def _judge(name: str, code: int, log: str, result: Path, artefacts: Sequence[Path]) -> Outcome:
    outcome = Outcome(name)
    if result.is_file():
        outcome.measured = json.loads(result.read_text("utf-8"))
    found = re.findall(r"\bcov: (\d+)", log)
    outcome.coverage = int(found[-1]) if found else 0
    outcome.findings = [f"{path}: {path.read_bytes()[:200]!r}" for path in artefacts]
    if code:
        outcome.findings.append(f"the process ended with {code}")
    if outcome.measured.get("growth_kb", 0) > LARGEST_GROWTH_KB:
        outcome.findings.append("memory grows with the number of inputs")
    if outcome.measured.get("slowest_us", 0) > SLOWEST_US:
        outcome.findings.append(SLOW)
    if outcome.findings:
        outcome.log = log[-4000:]
    return outcome


def table(outcomes: Sequence[Outcome]) -> str:
    lines = [f"{'target':<18}{'runs':>10}{'per s':>8}{'cov':>6}{'grown MB':>10}{'slowest us':>12}{'bytes':>7}  begins"]
    for one in outcomes:
        seen = {"runs": 0, "per_second": 0, "growth_kb": 0, "slowest_us": 0, "slowest_bytes": 0, "slowest_start": ""}
        seen |= one.measured
        lines.append(
            f"{one.target:<18}{seen['runs']:>10}{seen['per_second']:>8}{one.coverage:>6}"
            f"{seen['growth_kb'] / 1024:>10.1f}{seen['slowest_us']:>12}{seen['slowest_bytes']:>7}  "
            f"{seen['slowest_start']}"
        )
        lines += [f"    FINDING {finding}" for finding in one.findings]
    total = sum(one.measured.get("runs", 0) for one in outcomes)
    return "\n".join([*lines, f"{total} inputs, {sum(len(one.findings) for one in outcomes)} findings"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    limit = parser.add_mutually_exclusive_group(required=True)
    limit.add_argument("--seconds", type=float, default=_WITHOUT_LIMIT, help="for each target")
    limit.add_argument("--runs", type=int, default=_WITHOUT_LIMIT, help="for each target")
    parser.add_argument("--target", action="append", choices=[*targets.TARGETS, *targets.PLANTED])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sealwright-fuzz-"))
    outcomes = run(asked.target or list(targets.TARGETS), folder, seconds=asked.seconds, runs=asked.runs,
                   workers=asked.workers)  # fmt: skip
    print(table(outcomes))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1), "utf-8")
    if not any(one.findings for one in outcomes):
        shutil.rmtree(folder)
        return 0
    print(*(one.log for one in outcomes if one.findings), sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
