"""Managed signing over each key backend of this machine, and the backend alone in the same run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.component_backends import available
from benchmarks.measuring import medians
from benchmarks.signing_side import SigningSide, signing_side, token_payload, under_load
from sealwright.keys.record import KeyRecord

LOCAL, BATCH, CALLERS, ROUNDS = "local", 500, 8, 30


@dataclass
class Managed:
    """Seconds for one signature, and what callers together got in a second.

    ``raw`` is the backend alone; ``one`` is signed, verified and audited on disk; ``batched`` is one of a batch.
    """

    backend: str
    alg: str
    raw: float
    one: float
    batched: float
    per_second: float
    p95_s: float

    @property
    def batched_over_raw(self) -> float:
        return self.batched / self.raw


def measure_backends(algorithms: Iterable[str], *, rounds: int, seconds: float) -> Iterator[Managed]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name, backend in available(folder, stack):
            for alg in algorithms:
                if alg in backend.algorithms:
                    with signing_side(backend, alg, in_process=name == LOCAL) as side:
                        yield _measured(name, alg, side, rounds, seconds)


def _measured(name: str, alg: str, side: SigningSide, rounds: int, seconds: float) -> Managed:
    record: KeyRecord = side.signer.key().record
    text = b"x" * 300
    batch = BATCH if name == LOCAL else BATCH // 10
    calls = {
        "raw": partial(side.backend.sign, record.handle, text),
        "one": lambda: side.signer.sign_batch([token_payload(0)], actor="benchmark"),
        "batch": lambda: side.signer.sign_batch([token_payload(n) for n in range(batch)], actor="benchmark"),
    }
    took = medians(calls, rounds=rounds, batch_s=0.02)
    load = under_load(calls["one"], callers=CALLERS, seconds=seconds)
    return Managed(name, alg, took["raw"], took["one"], took["batch"] / batch, load.per_second, load.p95_s)
