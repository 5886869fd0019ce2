"""FanOut: one observer for many; one that raises is counted and harms nobody."""

from __future__ import annotations

import threading

from sealwright.events import Event, Observer


class FanOut:
    """Calls every observer, in the order given. ``failures`` counts the calls that raised."""

    def __init__(self, *observers: Observer) -> None:
        self.failures = 0
        self._observers = observers
        self._counting = threading.Lock()

    def observe(self, event: Event) -> None:
        for observer in self._observers:
            try:
                observer.observe(event)
            except Exception:  # noqa: BLE001 - whatever it is; its text could hold anything, so it goes nowhere
                with self._counting:
                    self.failures += 1
