"""A decision that is remembered, in process, beside ryjwt verifying HS256: each interpreter for itself, as JSON."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass

import sealwright as sw
from benchmarks import ours
from benchmarks.measuring import Call, medians
from benchmarks.newer_python import python_with_ryjwt, run_in
from benchmarks.work import AUDIENCE, ISSUER, Work
from sealwright.wiring.observing import build_observing

CACHED, OBSERVED, RYJWT = "remembered", "remembered+metrics", "ryjwt HS256"


@dataclass(frozen=True)
class InProcess:
    """Seconds for one call of each, in one interpreter."""

    python: str
    seconds: dict[str, float]


def measure_in_process(rounds: int) -> tuple[list[InProcess], str | None]:
    """Here, and where ryjwt runs; or why that is nowhere."""
    here = measured(rounds)
    python, missing = python_with_ryjwt()
    if python is None:
        return [here], missing
    try:
        printed = run_in(python, "benchmarks.sidecar.in_process", str(rounds))
    except subprocess.CalledProcessError as error:
        return [here], f"ryjwt: {(error.stderr or '').strip().splitlines()[-1:]}"
    return [here, InProcess(**json.loads(printed))], None


def measured(rounds: int) -> InProcess:
    work = Work.of("ES256")
    calls = {CACHED: _decide(work, observed=False), OBSERVED: _decide(work, observed=True), **_ryjwt()}
    return InProcess(f"Python {platform.python_version()}", medians(calls, rounds=rounds))


def _decide(work: Work, *, observed: bool) -> Call:
    observer = build_observing({ISSUER}).observer if observed else None
    keys, token = ours.key_source(work), work.token()
    verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, observer=observer, cache_bytes=2**20)
    assert verifier.decide(token).accepted
    return lambda: verifier.decide(token)


def _ryjwt() -> dict[str, Call]:
    try:
        from benchmarks import peer_ryjwt
    except ImportError:
        return {}
    work = Work.of("HS256")
    verify, token = peer_ryjwt.CONTESTANTS[0].verifying(work), work.token()
    return {RYJWT: lambda: verify(token)}


if __name__ == "__main__":
    print(json.dumps(asdict(measured(int(sys.argv[1])))))
