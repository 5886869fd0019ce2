"""The tokens of a run, all different, one a line in a file for each algorithm and use."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.work import Work

ALGORITHMS = ("ES256", "RS256", "EdDSA")
DIFFERENT, REPEATED = 24_000, 12_000  # more than a cache of 16 MiB has room for
_MADE_AT_ONCE = 500
_works: dict[str, Work] = {}  # in reach of forks


@dataclass(frozen=True)
class Tokens:
    """``different`` and ``repeated`` are files by algorithm; ``works`` has the keys."""

    works: Mapping[str, Work]
    different: Mapping[str, Path]
    repeated: Mapping[str, Path]


def make_tokens(folder: Path, *, divisor: int = 1) -> Tokens:
    """Made by all cores: an RSA signature takes its time."""
    _works.update((alg, Work.of(alg)) for alg in ALGORITHMS)
    fork = multiprocessing.get_context("fork")  # private keys refuse to be sent
    files: dict[str, dict[str, Path]] = {"different": {}, "repeated": {}}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=fork) as pool:
        for alg in ALGORITHMS:
            begin = 0
            for use, count in (("different", DIFFERENT // divisor), ("repeated", REPEATED // divisor)):
                starts = range(begin, begin + count, _MADE_AT_ONCE)
                files[use][alg] = folder / f"{alg}-{use}.txt"
                files[use][alg].write_text("".join(pool.map(_lines, [alg] * len(starts), starts)))
                begin += count
    return Tokens(dict(_works), files["different"], files["repeated"])


def _lines(alg: str, begin: int) -> str:
    work = _works[alg]
    numbers = range(begin, begin + _MADE_AT_ONCE)
    return "".join(work.token(sub=f"user-{number:08}", jti=f"{number:032x}") + "\n" for number in numbers)
