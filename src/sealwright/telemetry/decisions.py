"""Decisions: how many of each kind, and how long they took. Each is counted, thousands a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args, get_type_hints

from sealwright.events import Again, TokenDecided
from sealwright.telemetry.instruments import Instruments
from sealwright.telemetry.labels import UNKNOWN, LabelNames, algorithm_label, choice_label, reason_label

_RESULTS = frozenset(get_args(get_type_hints(TokenDecided)["outcome"]))


class Decisions:
    """Counts TokenDecided for Metrics."""

    def __init__(self, instruments: Instruments, issuers: LabelNames) -> None:
        self._instruments, self._issuers = instruments, issuers

    def observe(self, event: TokenDecided) -> None:
        count, take = self._children(event)
        count()
        take(event.duration_s)

    def prepared(self, event: TokenDecided) -> Again:
        """Counts this decision once more: its labels are found, which is most of the work."""
        if self._issuers[event.issuer] == UNKNOWN:  # it may become known
            return lambda duration_s: self.observe(replace(event, duration_s=duration_s))
        count, take = self._children(event)

        def again(duration_s: float) -> None:
            count()
            take(duration_s)

        return again

    def _children(self, event: TokenDecided) -> tuple[Callable[[], None], Callable[[float], None]]:
        issuer, alg = self._issuers[event.issuer], algorithm_label(event.algorithm)
        result, reason = choice_label(event.outcome, _RESULTS), reason_label(event.reason)
        children = self._instruments
        return children.verified[issuer, alg, result, reason].inc, children.verify_durations[issuer, alg].observe
