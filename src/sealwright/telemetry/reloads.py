"""Reloads: an observer that counts how often the configuration of a verifier was read again, and how that ended."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Again, ConfigReloaded, Event, TokenDecided, unobserved


class Reloads:
    """The start counts as a success of now, and not as a reload."""

    def __init__(self, registry: CollectorRegistry, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        reloads = Counter(
            "sealwright_config_reloads", "Readings of the file while it runs.", ["outcome"], registry=registry
        )
        self._counted = {"done": reloads.labels("done"), "refused": reloads.labels("refused")}
        self._last_success = Gauge(
            "sealwright_config_last_success_timestamp_seconds", "When what is in force was read.", registry=registry
        )
        self._last_success.set(clock.now())

    def observe(self, event: Event) -> None:
        if isinstance(event, ConfigReloaded):
            self._counted[event.outcome].inc()
            if event.outcome == "done":
                self._last_success.set(self._clock.now())

    def prepared(self, _: TokenDecided) -> Again:
        return unobserved
