"""Everything that one run found, and its JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import targets
from benchmarks.backends import Managed
from benchmarks.contestants import RAW
from benchmarks.endpoint import Endpoint
from benchmarks.modes import Mode
from benchmarks.newer_python import Newer
from benchmarks.rows import Row
from benchmarks.steps import Steps
from benchmarks.targets import Verdict
from benchmarks.threads import Threads
from benchmarks.versions import versions

PEERS = ("PyJWT", "joserfc", "jwcrypto", "python-jose", "oxyjwt")


@dataclass
class Results:
    """``python_peers`` are those built on Python and cryptography, which ours must never be slower than."""

    algorithms: Sequence[str]
    python_peers: Sequence[str]
    rows: list[Row]
    newer: Newer
    sizes: list[Row]
    threads: list[Threads]
    steps: list[Steps]
    backends: list[Managed]
    modes: list[Mode]
    endpoint: list[Endpoint]

    def verdicts(self) -> list[Verdict]:
        return [
            *targets.over_raw(self.rows),
            *targets.over_ryjwt(self.algorithms, self.newer.rows, self.newer.python),
            *targets.faster_hs256(self.rows),
            *targets.delegated(self.modes),
            *targets.never_slower(self.python_peers, [*self.rows, *self.sizes], self.threads),
        ]

    def to_dict(self) -> dict[str, Any]:
        return {
            "python": f"Python {platform.python_version()}",
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "load_average": os.getloadavg()[0],
            "versions": versions(*PEERS),
            "algorithms": list(self.algorithms),
            "targets": [{**asdict(one), "met": one.met} for one in self.verdicts()],
            "rows": [_with_ratios(row) for row in self.rows],
            "newer_python": {**asdict(self.newer), "rows": [_with_ratios(row) for row in self.newer.rows]},
            "sizes": [_with_ratios(row) for row in self.sizes],
            "threads": [asdict(one) for one in self.threads],
            "steps": [asdict(one) for one in self.steps],
            "backends": [asdict(one) for one in self.backends],
            "modes": [{**asdict(one), "calls_per_million": one.calls_per_million} for one in self.modes],
            "endpoint": [asdict(one) for one in self.endpoint],
        }

    def write_json(self, path: Path) -> None:
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", "utf-8")

    def notes(self) -> list[str]:
        """Who does not do all of the work, each said once."""
        found: dict[str, None] = {}
        for row in chain(self.rows, self.newer.rows, self.sizes):
            gaps = {name: f"does not check {', '.join(what)}" for name, what in row.unchecked.items()}
            found |= dict.fromkeys(f"{row.verb} {row.alg}: {who}: {why}" for who, why in (row.cannot | gaps).items())
        return list(found)


def _with_ratios(row: Row) -> dict[str, Any]:
    return {**asdict(row), "over_raw": {name: row.ratio(name) for name in row.seconds if name != RAW}}
