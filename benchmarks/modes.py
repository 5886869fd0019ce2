"""Four ways to sign more than an HSM can: direct, pooled, pre-signed and delegated, behind the same emulated HSM."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from benchmarks.emulated_hsm import EmulatedHsm
from benchmarks.signing_side import Load, SigningSide, signing_side, token_payload, under_load
from sealwright.clock import SYSTEM_CLOCK
from sealwright.keys.presigned import PresignedTokens, Question

CALLERS, BATCH = 16, 500
QUESTIONS = 50  # different claims that are asked for again and again, in the pre-signed mode
MODES = ("direct", "pooled", "pre-signed", "delegated", "delegated batch", "delegated batch, 2 callers")
PRICE_PER_CALL = 0.15 / 10_000  # dollars: what a cloud KMS asked for one ECC signature when this was written


@dataclass
class Mode:
    """One way of signing with one algorithm.

    ``p95_s`` is what a caller waits, for a batch as a whole; ``cpu_s`` is what one token takes of a processor.
    """

    alg: str
    name: str
    per_second: float
    p95_s: float
    cpu_s: float
    backend_calls: int
    tokens: int

    @property
    def calls_per_million(self) -> float:
        return self.backend_calls / self.tokens * 1e6

    @property
    def dollars_per_million(self) -> float:
        return self.calls_per_million * PRICE_PER_CALL


def measure_modes(algorithms: Iterable[str], *, seconds: float) -> Iterator[Mode]:
    for alg in algorithms:
        hsm = EmulatedHsm()
        with signing_side(hsm, alg) as side:
            yield _mode(alg, "direct", hsm, under_load(lambda: _one(side), callers=1, seconds=seconds))
            yield _mode(alg, "pooled", hsm, under_load(lambda: _one(side), callers=CALLERS, seconds=seconds))
            yield _mode(alg, "pre-signed", hsm, _presigned(side, seconds))
            for _ in range(2):  # publish, and, since there is no dwell here, activate
                side.delegated.tick()
            assert side.signer.known_backend
            one = under_load(lambda: _one(side), callers=CALLERS, seconds=seconds)
            yield _mode(alg, "delegated", hsm, one)
            for name, callers in (("delegated batch", 1), ("delegated batch, 2 callers", 2)):
                load = under_load(lambda: _batch(side), callers=callers, seconds=seconds, tokens=BATCH)
                yield _mode(alg, name, hsm, load)


def _mode(alg: str, name: str, hsm: EmulatedHsm, load: Load) -> Mode:
    calls, hsm.calls = hsm.calls, 0
    return Mode(alg, name, load.per_second, load.p95_s, load.cpu_s / load.tokens, calls, load.tokens)


def _one(side: SigningSide) -> None:
    side.signer.sign_batch([token_payload(0)], actor="benchmark")


def _batch(side: SigningSide) -> None:
    side.signer.sign_batch([token_payload(number) for number in range(BATCH)], actor="benchmark")


def _presigned(side: SigningSide, seconds: float) -> Load:
    """Every caller asks for one of the questions after the other; all are cold at first."""
    kept, number = PresignedTokens(SYSTEM_CLOCK), count()

    def ask() -> None:
        asked = next(number) % QUESTIONS
        question = Question("default", "benchmark", hashlib.sha256(b"%d" % asked).digest())
        kept.token(side.signer, question, 900, lambda: side.signer.sign_batch([token_payload(asked)], actor="b")[0])

    return under_load(ask, callers=CALLERS, seconds=seconds)
