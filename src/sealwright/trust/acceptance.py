"""Acceptance: when each key was last accepted, as an observer of decisions; cheap enough for every token."""

from __future__ import annotations

from collections.abc import Iterable

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Event, TokenDecided

_MOST_KEYS = 4096


class Acceptance:
    """Keeps a time for each key that was found and accepted: few, since no token can name one into being."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._now = clock.now
        self._last: dict[tuple[str, str], float] = {}

    def observe(self, event: Event) -> None:
        if type(event) is TokenDecided and event.outcome == "accepted" and event.key_id is not None:
            if len(self._last) >= _MOST_KEYS and (event.issuer, event.key_id) not in self._last:
                self._last.clear()  # keys of years ago; those in use come again with their next token
            self._last[event.issuer, event.key_id] = self._now()

    def of(self, issuer: str, key_ids: Iterable[str]) -> dict[str, float | None]:
        """When each of these keys was last accepted, in seconds since the epoch; None for never."""
        return {key_id: self._last.get((issuer, key_id)) for key_id in key_ids}
