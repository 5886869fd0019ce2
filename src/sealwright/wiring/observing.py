"""Build the observers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TextIO

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Observer
from sealwright.telemetry.fan_out import FanOut
from sealwright.telemetry.logs import Logs, json_logging_config
from sealwright.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Observing:
    """One observer for everything, and the metrics it fills."""

    observer: Observer
    metrics: Metrics


def build_observing(issuers: Collection[str], *, logs: TextIO | None = None, clock: Clock = SYSTEM_CLOCK) -> Observing:
    """``issuers`` are the names that metrics may show; a live collection may grow later. No logs without a stream."""
    metrics = Metrics(issuers=issuers)
    observers = (metrics,) if logs is None else (metrics, Logs(logs, clock=clock))
    fan_out = FanOut(*observers)
    metrics.watch(fan_out)
    return Observing(fan_out, metrics)


def log_config() -> dict[str, Any]:
    """What a web server logs with: the same JSON lines, and no line for each request."""
    return json_logging_config()
