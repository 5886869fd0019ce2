"""Metrics that are read at scrape time from whoever knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sealwright.telemetry.fan_out import FanOut
from sealwright.telemetry.shown import shown


class ObserverFailures(Collector):
    """Reads the count of a FanOut at scrape time."""

    def __init__(self, fan_out: FanOut) -> None:
        self._fan_out = fan_out

    def collect(self) -> Iterable[Metric]:
        meaning = "Calls of an observer that raised."
        yield CounterMetricFamily("sealwright_observer_failures", meaning, value=self._fan_out.failures)


class IssuerInfo(Collector):
    """Who answers for each issuer, read at scrape time; a series for each issuer, joined to others by its label."""

    def __init__(self, issuers: Callable[[], Iterable[tuple[str, str, str, str]]]) -> None:
        self._issuers = issuers

    def describe(self) -> Iterable[Metric]:
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        family = self._family()
        for facts in self._issuers():
            family.add_metric([shown(fact) for fact in facts], 1)
        yield family

    def _family(self) -> GaugeMetricFamily:
        labels = ("issuer", "owner", "pager", "runbook")
        return GaugeMetricFamily("sealwright_issuer_info", "Who answers for an issuer.", labels=labels)


class Queue(Protocol):
    """What is shown of the queue before a key backend."""

    backend: str
    waiting: int
    in_flight: int


class SigningQueues(Collector):
    """Reads the lengths of queues at scrape time."""

    def __init__(self, queues: Iterable[Queue]) -> None:
        self._queues = queues

    def collect(self) -> Iterable[Metric]:
        waiting = GaugeMetricFamily("signing_queue_waiting", "Signatures nobody has taken up yet.", labels=["backend"])
        in_flight = GaugeMetricFamily("signing_in_flight", "Signatures under way.", labels=["backend"])
        for queue in self._queues:
            waiting.add_metric([queue.backend], queue.waiting)
            in_flight.add_metric([queue.backend], queue.in_flight)
        yield waiting
        yield in_flight


class ReplayFigures(Protocol):
    """What is shown of a store of what was presented before."""

    @property
    def store(self) -> str: ...

    @property
    def entries(self) -> int | None: ...

    @property
    def errors(self) -> int: ...

    @property
    def evicted_unexpired(self) -> int: ...


class ReplayStores(Collector):
    """Reads the figures of stores at scrape time; those of one kind are added up. No I/O."""

    def __init__(self, figures: Callable[[], Iterable[ReplayFigures]]) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        return self._families()

    def collect(self) -> Iterable[Metric]:
        sums: dict[str, tuple[int, int, int]] = {}
        for one in self._figures():
            entries, errors, evicted = sums.get(one.store, (0, 0, 0))
            sums[one.store] = entries + (one.entries or 0), errors + one.errors, evicted + one.evicted_unexpired
        families = self._families()
        for store, values in sums.items():
            for family, value in zip(families, values, strict=True):
                family.add_metric([shown(store)], value)
        return families

    def _families(self) -> tuple[GaugeMetricFamily | CounterMetricFamily, ...]:
        entries, label = "Entries, as far as this process knows.", ["store"]
        return (
            GaugeMetricFamily("replay_store_entries", entries, labels=label),
            CounterMetricFamily("replay_store_errors", "Claims without an answer.", labels=label),
            CounterMetricFamily("replay_store_evicted_unexpired", "Entries lost before their end.", labels=label),
        )


class CacheFigures(Protocol):
    """What is shown of a decision cache."""

    @property
    def hits(self) -> int: ...

    @property
    def misses(self) -> int: ...

    @property
    def entries(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...


class DecisionCaches(Collector):
    """Reads the figures of the decision cache that is in force at scrape time; None is no cache."""

    def __init__(self, figures: Callable[[], CacheFigures | None]) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        return self._families()

    def collect(self) -> Iterable[Metric]:
        lookups, entries, size_bytes = families = self._families()
        if (found := self._figures()) is not None:
            lookups.add_metric(["hit"], found.hits)
            lookups.add_metric(["miss"], found.misses)
            entries.add_metric([], found.entries)
            size_bytes.add_metric([], found.size_bytes)
        return families

    def _families(self) -> tuple[CounterMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            CounterMetricFamily("decision_cache_lookups", "Accepted tokens, by memory or anew.", labels=["outcome"]),
            GaugeMetricFamily("decision_cache_entries", "Tokens that are remembered.", labels=[]),
            GaugeMetricFamily("decision_cache_size_bytes", "What they take at most.", labels=[]),
        )
