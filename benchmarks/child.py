"""What runs under the newer Python: ours, the raw primitive and ryjwt, printed as JSON."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict

from benchmarks import ours, peer_ryjwt
from benchmarks.rows import measure_rows
from benchmarks.versions import versions


def main(rounds: str, *algorithms: str) -> None:
    contestants = (*ours.CONTESTANTS, *peer_ryjwt.CONTESTANTS)
    rows = [asdict(row) for row in measure_rows(contestants, algorithms, rounds=int(rounds))]
    python = f"Python {platform.python_version()}"
    print(json.dumps({"python": python, "rows": rows, "versions": versions("ryjwt", "msgspec")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
