"""The batch endpoint of the real service, in a process of its own, asked over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from benchmarks.signing_side import under_load

COMMAND = str(Path(sys.executable).with_name("sealwright"))
BATCH = 500


@dataclass
class Endpoint:
    alg: str
    callers: int
    per_second: float
    p95_s: float


def measure_endpoint(algorithms: list[str], *, seconds: float) -> Iterator[Endpoint]:
    for alg in algorithms:
        with tempfile.TemporaryDirectory() as folder, _service(Path(folder) / "data", alg) as url:
            ask = _asking(url, (Path(folder) / "data" / "operator.token").read_text().strip())
            for callers in (1, 2):
                load = under_load(ask, callers=callers, seconds=seconds, tokens=BATCH)
                yield Endpoint(alg, callers, load.per_second, load.p95_s)


def _asking(url: str, credential: str) -> Callable[[], None]:
    pool = urllib3.PoolManager(retries=False, timeout=60, maxsize=8)
    headers = {"Authorization": f"Bearer {credential}"}
    items = [{"claims": {"sub": f"user-{n}", "scope": "read write"}, "audience": "orders"} for n in range(BATCH)]
    body = json.dumps({"tokens": items}, separators=(",", ":")).encode()

    def ask() -> None:
        answer = pool.request("POST", f"{url}/v1/issuers/default/tokens/batch", body=body, headers=headers)
        assert answer.status == 201, answer.data

    return ask


@contextmanager
def _service(home: Path, alg: str) -> Iterator[str]:
    arguments = [COMMAND, "up", "--home", str(home), "--port", "0", "--json"]
    environment = {"PATH": "", "SEALWRIGHT_ISSUERS": json.dumps({"default": alg})}
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert process.stdout is not None
    try:
        text = ""
        while not text.endswith("}\n"):
            text += process.stdout.readline()
        yield str(json.loads(text)["url"])
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
