"""Build the observers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TextIO

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Observer
from sealwright.telemetry.collectors import CacheFigures, DecisionCaches
from sealwright.telemetry.fan_out import FanOut
from sealwright.telemetry.logs import Logs, json_logging_config
from sealwright.telemetry.metrics import Metrics
from sealwright.telemetry.reloads import Reloads

REFUSALS_LOGGED_PER_S = 5  # of each issuer and reason; the metrics count all of them


@dataclass(frozen=True, slots=True)
class Observing:
    """One observer for everything, the metrics it fills, and the logs it writes."""

    observer: Observer
    metrics: Metrics
    logs: Logs | None = None

    def watch_cache(self, figures: Callable[[], CacheFigures | None]) -> None:
        """Export the figures of the decision cache that is in force at a scrape. Once."""
        self.metrics.registry.register(DecisionCaches(figures))


def build_observing(issuers: Collection[str], *, logs: TextIO | None = None, clock: Clock = SYSTEM_CLOCK) -> Observing:
    """``issuers`` are the names that metrics may show; a live collection may grow later. No logs without a stream."""
    metrics = Metrics(issuers=issuers)
    return _observing(metrics, None if logs is None else Logs(logs, clock=clock))


def build_worker_observing(
    issuers: Collection[str], *, logs: TextIO, accepted: bool, worker: int | None = None, clock: Clock = SYSTEM_CLOCK
) -> Observing:
    """Those of a sidecar: no line for each token that is accepted unless asked for, and few for those that are not."""
    metrics = Metrics(issuers=issuers, clock=clock)
    written = Logs(logs, clock=clock, accepted=accepted, refusals_per_s=REFUSALS_LOGGED_PER_S, worker=worker)
    return _observing(metrics, written, Reloads(metrics.registry, clock))


def _observing(metrics: Metrics, logs: Logs | None, *others: Observer) -> Observing:
    fan_out = FanOut(metrics, *others, *([] if logs is None else [logs]))
    metrics.watch(fan_out)
    return Observing(fan_out, metrics, logs)


def log_config() -> dict[str, Any]:
    """What a web server logs with: the same JSON lines, and no line for each request."""
    return json_logging_config()
