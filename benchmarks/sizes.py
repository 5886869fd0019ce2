"""Tokens from 1 KB to 1 MB: how the time to verify grows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from benchmarks import raw
from benchmarks.contestants import RAW, CannotError, Contestant
from benchmarks.measuring import Call, medians
from benchmarks.rows import Row
from benchmarks.work import CUSTOM, Work

SIZES = {"1 KB": 1_000, "10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000}
ALGORITHMS = ("ES256", "HS256")
_ROLE_LENGTH = len(',"role-000000"') * 4 / 3  # in base64url


def measure_sizes(contestants: Sequence[Contestant], algorithms: Iterable[str], *, rounds: int) -> Iterator[Row]:
    for alg in algorithms:
        if alg in ALGORITHMS:
            for label, length in SIZES.items():
                yield _measured(contestants, _work_of_size(alg, length), label, rounds)


def _measured(contestants: Sequence[Contestant], work: Work, label: str, rounds: int) -> Row:
    row, token = Row(work.alg, "verify", label), work.token()
    calls: dict[str, Call] = {RAW: raw.verifying(work, token)}
    for one in contestants:
        try:
            call = partial(one.verifying(work), token)
            call()
        except CannotError as reason:
            row.cannot[one.name] = str(reason)
        except Exception as error:  # noqa: BLE001 - each library has its own, and only its limit on sizes is left
            row.cannot[one.name] = f"refuses {label}: {type(error).__name__}"
        else:
            calls[one.name] = call
    row.seconds = medians(calls, rounds=rounds)
    return row


def _work_of_size(alg: str, length: int) -> Work:
    """Its token is as long as ``length`` or slightly less; what grows is the list of roles."""
    missing = length - len(Work.of(alg).token())
    roles = [f"role-{number:06}" for number in range(int(missing / _ROLE_LENGTH))]
    return Work.of(alg, {**CUSTOM, "roles": [*CUSTOM["roles"], *roles]})
