"""FanOut: one observer for many; one that raises is counted and harms nobody."""

from __future__ import annotations

import threading

from sealwright.events import Again, Event, Observer, TokenDecided, prepared, unobserved


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
                self._count_failure()

    def prepared(self, event: TokenDecided) -> Again:
        ready = (prepared(observer, event) for observer in self._observers)
        each = [one for one in ready if one is not unobserved]

        def again(duration_s: float) -> None:
            for one in each:
                try:
                    one(duration_s)
                except Exception:  # noqa: BLE001 - as in observe
                    self._count_failure()

        return again

    def _count_failure(self) -> None:
        with self._counting:
            self.failures += 1
