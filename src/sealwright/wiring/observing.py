"""Build the observers."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import TextIO

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Observer
from sealwright.telemetry.fan_out import FanOut
from sealwright.telemetry.logs import Logs
from sealwright.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Observing:
    """One observer for everything, and the metrics it fills."""

    observer: Observer
    metrics: Metrics


def build_observing(issuers: Collection[str], *, logs: TextIO | None = None, clock: Clock = SYSTEM_CLOCK) -> Observing:
    """``issuers`` are the names that metrics may show; a live collection may grow later."""
    metrics = Metrics(issuers=issuers)
    return Observing(FanOut(metrics, Logs(logs or sys.stderr, clock=clock)), metrics)
