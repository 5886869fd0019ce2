"""The rows of the benchmark: one algorithm, one verb, everybody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks import raw
from benchmarks.contestants import CONTROL, OURS, RAW, CannotError, Contestant
from benchmarks.measuring import Call, medians
from benchmarks.proof import check_signed, unchecked
from benchmarks.work import Work

VERBS = ("verify", "sign")


@dataclass
class Row:
    """``seconds`` of one call by contestant; ``cannot`` and ``unchecked`` say who does not do all of this work."""

    alg: str
    verb: str
    label: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    cannot: dict[str, str] = field(default_factory=dict)
    unchecked: dict[str, list[str]] = field(default_factory=dict)

    def ratio(self, name: str, over: str = RAW) -> float | None:
        if name not in self.seconds or over not in self.seconds:
            return None
        return self.seconds[name] / self.seconds[over]


def measure_rows(contestants: Sequence[Contestant], algorithms: Iterable[str], *, rounds: int) -> Iterator[Row]:
    for alg in algorithms:
        work = Work.of(alg)
        for verb in VERBS:
            row = Row(alg, verb)
            prepare = verifying_calls if verb == "verify" else _signing_calls
            row.seconds = medians(prepare(row, contestants, work), rounds=rounds)
            yield row


def verifying_calls(row: Row, contestants: Sequence[Contestant], work: Work) -> dict[str, Call]:
    """Raw and everybody who can, on the same token; who cannot is noted in the row."""
    token = work.token()
    calls: dict[str, Call] = {RAW: raw.verifying(work, token), CONTROL: raw.verifying(work, token)}
    for one in contestants:
        try:
            verify = one.verifying(work)
        except CannotError as reason:
            row.cannot[one.name] = str(reason)
            continue
        missed = unchecked(verify, work)
        if missed and one.kind == OURS:
            raise AssertionError(f"ours must check everything, and missed {missed}")
        if missed:
            row.unchecked[one.name] = missed
        calls[one.name] = partial(verify, token)
    return calls


def _signing_calls(row: Row, contestants: Sequence[Contestant], work: Work) -> dict[str, Call]:
    calls: dict[str, Call] = {}
    for one in contestants:
        try:
            sign = one.signing(work)
        except CannotError as reason:
            row.cannot[one.name] = str(reason)
            continue
        check_signed(sign, work)
        calls[one.name] = sign
    token = calls[OURS]()
    return {RAW: raw.signing(work, token), CONTROL: raw.signing(work, token), **calls}
