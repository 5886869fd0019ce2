"""The targets, and whether this run met them: ratios within one run, always computed from what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.contestants import OURS, RAW
from benchmarks.modes import Mode
from benchmarks.rows import Row
from benchmarks.threads import Threads

OVER_RAW = {
    "verify": {"ES256": 1.15, "RS256": 1.35, "PS256": 1.35, "EdDSA": 1.15, "HS256": 3.3},
    "sign": {"ES256": 1.35, "RS256": 1.03, "PS256": 1.03, "EdDSA": 1.20, "HS256": 2.0},
}
OVER_RYJWT = {"ES256": 1.5, "RS256": 1.7, "PS256": 1.7, "EdDSA": 1.8}
DELEGATED_PER_SECOND = 10_000
FASTER_HS256 = {"PyJWT": 4.0, "joserfc": 4.0}


@dataclass(frozen=True)
class Verdict:
    """``measured`` None: not measured in this run, so neither met nor missed."""

    target: str
    limit: float
    measured: float | None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def over_raw(rows: Sequence[Row]) -> list[Verdict]:
    return [
        Verdict(f"{row.verb} {row.alg}: ours over raw", OVER_RAW[row.verb][row.alg], row.ratio(OURS, RAW))
        for row in rows
    ]


def over_ryjwt(algorithms: Sequence[str], rows: Sequence[Row], python: str) -> list[Verdict]:
    found = {row.alg: row.ratio(OURS, "ryjwt") for row in rows if row.verb == "verify"}
    return [
        Verdict(f"verify {alg}: ours over ryjwt ({python})", limit, found.get(alg))
        for alg, limit in OVER_RYJWT.items()
        if alg in algorithms
    ]


def delegated(modes: Sequence[Mode]) -> list[Verdict]:
    """The best of the delegated rows of each algorithm, in process."""
    best: dict[str, float] = {}
    for one in modes:
        if one.name.startswith("delegated"):
            best[one.alg] = max(best.get(one.alg, 0.0), one.per_second)
    return [
        Verdict(f"delegated {alg}: tokens a second behind the emulated HSM", DELEGATED_PER_SECOND, rate, at_least=True)
        for alg, rate in best.items()
    ]


def faster_hs256(rows: Sequence[Row]) -> list[Verdict]:
    chosen = [row for row in rows if (row.alg, row.verb) == ("HS256", "verify")]
    return [
        Verdict(f"verify HS256: {peer} over ours", limit, row.ratio(peer, OURS), at_least=True)
        for row in chosen
        for peer, limit in FASTER_HS256.items()
    ]


def never_slower(peers: Sequence[str], rows: Sequence[Row], threads: Sequence[Threads]) -> Iterator[Verdict]:
    """Against the fastest peer built on Python and cryptography, on every row of every section."""
    for row in rows:
        theirs = {name: row.seconds[name] for name in peers if name in row.seconds}
        title = " ".join(filter(None, (row.verb, row.alg, row.label)))
        yield _against_fastest(title, theirs, row.seconds.get(OURS))
    for one in threads:
        theirs = {name: 1 / one.per_second[name] for name in peers if name in one.per_second}
        yield _against_fastest(f"verify {one.alg} 2 threads", theirs, 1 / one.per_second[OURS])


def _against_fastest(title: str, theirs: dict[str, float], ours: float | None) -> Verdict:
    if not theirs or ours is None:
        return Verdict(f"{title}: ours over the fastest Python peer", 1.0, None)
    fastest = min(theirs, key=lambda name: theirs[name])
    return Verdict(f"{title}: ours over {fastest}, the fastest Python peer", 1.0, ours / theirs[fastest])
