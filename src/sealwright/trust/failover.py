"""Failover: one fetch from the first of several addresses that answers, within one deadline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import UnavailableError
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.flight import malformed, unavailable
from sealwright.trust.key_snapshot import FetchedKeys, KeySnapshot, thumbprints


class Fetcher(Protocol):
    """Knows one place. Raises UnavailableError ``source.*``."""

    def fetch(self, timeout_s: float) -> FetchedKeys: ...

    def close(self) -> None: ...


class Failover:
    """``fetchers`` in the order of trying: the issuer's own address, then its mirrors. One caller at a time."""

    def __init__(self, fetchers: Sequence[Fetcher], *, timeout_s: float, settings: CacheSettings, clock: Clock) -> None:
        self._places = [(fetcher, settings.pacing()) for fetcher in fetchers]
        self._timeout_s, self._mirror_s, self._clock = timeout_s, settings.mirror_s, clock

    def fetch(self, held: KeySnapshot | None) -> FetchedKeys:
        until, failure = SYSTEM_CLOCK.monotonic() + self._timeout_s, unavailable("the key source has no address")
        places = self._ready(held)
        for index, place in enumerate(places):
            # Each gets its share of what is left: one that hangs must not use up the others' time.
            share_s = (until - SYSTEM_CLOCK.monotonic()) / (len(places) - index)
            answer = self._ask(place, held, share_s)
            if isinstance(answer, FetchedKeys):
                return answer
            failure = answer if index == 0 else failure
        raise failure

    def close(self) -> None:
        """Cut the fetch that is under way, from any thread, and allow no other."""
        for fetcher, _ in self._places:
            fetcher.close()

    def _ready(self, held: KeySnapshot | None) -> list[int]:
        """Those that are not left alone. When all are, it is the flight's own pacing that allowed this try."""
        now = self._clock.monotonic()
        in_time = held is None or now < held.confirmed_at + self._mirror_s
        allowed = range(len(self._places)) if in_time else range(1)
        return [place for place in allowed if now >= self._places[place][1].until] or list(allowed)

    def _ask(self, place: int, held: KeySnapshot | None, share_s: float) -> FetchedKeys | UnavailableError:
        fetcher, backoff = self._places[place]
        try:
            if share_s <= 0:
                raise unavailable("the key source did not answer in time")
            fetched = replace(fetcher.fetch(share_s), is_first=place == 0)
            if place > 0 and held is not None:
                _check_not_older(fetched, held)
        except UnavailableError as error:
            backoff.failed(self._clock.monotonic())
            return error
        backoff.succeeded()
        return fetched


def _check_not_older(fetched: FetchedKeys, held: KeySnapshot) -> None:
    """Refuse a mirror's set that is older than what is held: it would bring a removed key back."""
    if fetched.sequence is not None and held.sequence is not None and fetched.sequence < held.sequence:
        raise malformed("a mirror's key set is older than the one that is held")
    if not thumbprints(fetched.keys).isdisjoint(held.dropped):
        raise malformed("a mirror still shows a key that the first address has dropped")
