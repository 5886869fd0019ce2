"""The bars, and whether this run met them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.sidecar.contestants import BARE, BARE_HEADERS, ENVOY, HAPROXY, OURS
from benchmarks.sidecar.in_process import CACHED, RYJWT, InProcess
from benchmarks.sidecar.rounds import Row
from benchmarks.targets import Verdict

OVER_PEERS = {ENVOY: 1.0, HAPROXY: 0.9}  # per core, where all tokens are different
OVER_BARE = 0.75  # where each is repeated
LONGEST_P95_MS = 2.0  # at half of saturation
LONGEST_CACHED_US = 1.5


def verdicts(rows: Sequence[Row], in_process: Sequence[InProcess]) -> list[Verdict]:
    return [*_different(rows), *_repeated(rows), *_waits(rows), *_in_process(in_process)]


def _different(rows: Sequence[Row]) -> Iterator[Verdict]:
    for row in rows:
        if (row.alg, row.use, row.workers) == ("ES256", "different", 1):
            for peer, limit in OVER_PEERS.items():
                yield Verdict(f"{row.title}: ours over {peer}, one core", limit, row.ratio(OURS, peer), at_least=True)


def _repeated(rows: Sequence[Row]) -> Iterator[Verdict]:
    for row in rows:
        if (row.use, row.workers) == ("repeated", 1):
            yield Verdict(f"{row.title}: ours over the bare app", OVER_BARE, row.ratio(OURS, BARE), at_least=True)
            title = f"{row.title}: ours over the bare app with the same headers"
            yield Verdict(title, OVER_BARE, row.ratio(OURS, BARE_HEADERS), at_least=True)


def _waits(rows: Sequence[Row]) -> Iterator[Verdict]:
    for row in rows:
        if row.workers == 1:
            paced = row.paced.get(OURS)
            yield Verdict(f"{row.title}: p95 at half of saturation, ms", LONGEST_P95_MS, paced and paced.p95_s * 1e3)


def _in_process(found: Sequence[InProcess]) -> Iterator[Verdict]:
    for one in found:
        seconds = one.seconds
        yield Verdict(f"a remembered decision in process, µs ({one.python})", LONGEST_CACHED_US, seconds[CACHED] * 1e6)
    with_peer = [one for one in found if RYJWT in one.seconds]
    ratio = with_peer[0].seconds[RYJWT] / with_peer[0].seconds[CACHED] if with_peer else None
    yield Verdict("ryjwt verifying HS256 over a remembered decision", 1.0, ratio, at_least=True)
