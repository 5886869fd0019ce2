"""Who takes part, and what a contestant is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.work import Work

Verify = Callable[[str], dict[str, Any]]  # a token in, its claims out; raises when it is not acceptable
Sign = Callable[[], str]

RAW, OURS, OBSERVED = "raw", "ours", "ours+metrics"
CONTROL = "raw again"  # the same once more, as a contestant: how far it is from 1 is the noise of the row


class CannotError(Exception):
    """This contestant does not do this work; the text says why."""


@dataclass(frozen=True)
class Contestant:
    """``kind``: "ours", "python" (built on Python and cryptography) or "rust" (a library of its own in Rust).

    ``verifying`` and ``signing`` prepare keys and rules once, as an application would at its start.
    """

    name: str
    kind: str
    verifying: Callable[[Work], Verify]
    signing: Callable[[Work], Sign]


def cannot(why: str) -> Callable[[Work], Any]:
    def refuse(_: Work) -> Any:
        raise CannotError(why)

    return refuse
