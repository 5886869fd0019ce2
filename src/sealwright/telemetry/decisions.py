"""Decisions: how many of each kind, and how long they took; counted in plain numbers and read at a scrape."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate
from operator import add
from typing import get_args, get_type_hints

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from sealwright.events import Again, TokenDecided
from sealwright.telemetry.instruments import BUCKETS_S
from sealwright.telemetry.labels import UNKNOWN, LabelNames, algorithm_label, choice_label, reason_label

_RESULTS = frozenset(get_args(get_type_hints(TokenDecided)["outcome"]))
_BOUNDS = [*map(floatToGoString, BUCKETS_S), "+Inf"]


class _Tally:
    """How many took no longer than each bound, and no less than the one before; and the seconds of all."""

    __slots__ = ("_counting", "seconds", "within")

    def __init__(self) -> None:
        self.within, self.seconds = [0] * len(_BOUNDS), 0.0
        self._counting = threading.Lock()

    def take(self, duration_s: float) -> None:
        with self._counting:
            self.within[bisect_left(BUCKETS_S, duration_s)] += 1
            self.seconds += duration_s


class Decisions(Collector):
    """Counts TokenDecided for Metrics: thousands a second, where a metric object takes its time."""

    def __init__(self, issuers: LabelNames) -> None:
        self._issuers = issuers
        self._tallies: dict[tuple[str, str, str, str], _Tally] = {}

    def observe(self, event: TokenDecided) -> None:
        self._tally(event).take(event.duration_s)

    def prepared(self, event: TokenDecided) -> Again:
        """Counts this decision once more: its labels are found, which is most of the work."""
        if self._issuers[event.issuer] == UNKNOWN:  # it may become known
            return lambda duration_s: self.observe(replace(event, duration_s=duration_s))
        return self._tally(event).take

    def describe(self) -> Iterable[Metric]:
        return _counts(), _durations()

    def collect(self) -> Iterable[Metric]:
        counts, durations = _counts(), _durations()
        by_key: dict[tuple[str, str], tuple[list[int], float]] = {}
        for labels, tally in list(self._tallies.items()):
            within, seconds = list(tally.within), tally.seconds
            counts.add_metric(labels, sum(within))
            others, more = by_key.get(labels[:2], ([0] * len(within), 0.0))
            by_key[labels[:2]] = list(map(add, within, others)), seconds + more
        for key, (within, seconds) in by_key.items():
            durations.add_metric(key, list(zip(_BOUNDS, accumulate(within), strict=True)), seconds)
        return counts, durations

    def _tally(self, event: TokenDecided) -> _Tally:
        issuer, alg = self._issuers[event.issuer], algorithm_label(event.algorithm)
        labels = (issuer, alg, choice_label(event.outcome, _RESULTS), reason_label(event.reason))
        return self._tallies.get(labels) or self._tallies.setdefault(labels, _Tally())


def _counts() -> CounterMetricFamily:
    return CounterMetricFamily("jws_verify", "Decisions over tokens.", labels=("issuer", "alg", "result", "reason"))


def _durations() -> HistogramMetricFamily:
    return HistogramMetricFamily("jws_verify_duration_seconds", "Time to decide.", labels=("issuer", "alg"))
