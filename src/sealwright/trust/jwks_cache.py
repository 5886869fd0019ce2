"""JwksCache: find a key at once while one is known; share a flight, within a budget, when it is not.

A caller looks, and gets a key, a refusal, or a flight to wait for; after the flight it looks again.
"""

from __future__ import annotations

import asyncio

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.events import Observer
from sealwright.jose.jwk import PublicJWK
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.flight import Cause, Fetch, Flight, unavailable
from sealwright.trust.key_snapshot import KeySnapshot
from sealwright.trust.key_source import SourceStatus
from sealwright.trust.last_good import LastGoodKeys
from sealwright.trust.refetch_budget import RefetchBudget
from sealwright.trust.refresher import Refresher
from sealwright.trust.unknown_keys import UnknownKeys


class JwksCache:
    """The keys of one source in one process. ``timeout_s`` is the longest wait of a caller."""

    def __init__(
        self,
        source: str,
        fetch: Fetch,
        *,
        timeout_s: float,
        settings: CacheSettings | None = None,
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
        seed: KeySnapshot | None = None,
        last_good: LastGoodKeys | None = None,
        background: bool = True,
    ) -> None:
        self._timeout_s, self._clock = timeout_s, clock
        self._settings = settings = settings or CacheSettings()
        self._unknown = UnknownKeys(settings.unknown_kids_remembered, settings.unknown_kid_memory_s)
        self._budget = RefetchBudget(settings.unknown_kid_burst, settings.unknown_kid_interval_s)
        self._refresher = Refresher(
            source,
            fetch,
            settings=settings,
            clock=clock,
            observer=observer,
            changed=self._unknown.forget_all,
            seed=seed,
            last_good=last_good,
            background=background,
        )

    @property
    def snapshot(self) -> KeySnapshot | None:
        return self._refresher.snapshot

    def find(self, key_id: str | None) -> PublicJWK:
        """The key of this kid; waits only when it is not known. Raises as ``KeySource`` says."""
        asked = self._refresher.started
        if not isinstance(found := self._look(key_id, asked), Flight):
            return found
        until = self._patience_until()
        while isinstance(found, Flight):
            check_landed(self._wait(found, until))
            found = self._look(key_id, asked)
        return found

    async def afind(self, key_id: str | None) -> PublicJWK:
        """``find`` for an event loop: never blocks it, and waits for the same flights."""
        asked = self._refresher.started
        if not isinstance(found := self._look(key_id, asked), Flight):
            return found
        until = self._patience_until()
        while isinstance(found, Flight):
            check_landed(await self._await(found, until))
            found = self._look(key_id, asked)
        return found

    def known(self, key_id: str | None) -> PublicJWK | None:
        """The key of this kid while nothing needs to be fetched for it; None leaves the question to ``find``."""
        held, now = self._refresher.snapshot, self._clock.monotonic()
        if held is None or now >= held.refresh_at or not held.is_usable(now) or key_id not in held.keys:
            return None
        return held.keys.find(key_id)

    def refresh(self, cause: Cause = "asked") -> None:
        """Fetch now and wait. Raises UnavailableError, at once while a failed source is left alone."""
        flight = self._refresher.board(cause)
        assert flight is not None
        check_landed(self._wait(flight, SYSTEM_CLOCK.monotonic() + self._timeout_s))

    def run(self) -> None:
        """Start refreshing ahead before the first flight."""
        self._refresher.run()

    def status(self) -> SourceStatus:
        held, now, refresher = self.snapshot, self._clock.monotonic(), self._refresher
        return SourceStatus(
            age_s=now - held.fetched_at if held else None,
            fresh=held is not None and held.is_fresh(now),
            usable=held is not None and held.is_usable(now),
            keys=len(held.keys) if held else 0,
            unusable=len(held.keys.unusable) if held else 0,
            last_error=refresher.last_error,
            next_refresh_s=max(0.0, refresher.due_at - now) if refresher.started or held else None,
            fetched_unix_s=held.fetched_unix_s if held else None,
            sequence=held.sequence if held else None,
            url=held.url if held else None,
            skipped=held.keys.unusable if held else (),
            file_error=refresher.file_error,
        )

    def close(self) -> None:
        self._refresher.close(self._timeout_s)

    def _look(self, key_id: str | None, asked: int) -> PublicJWK | Flight:
        now, held = self._clock.monotonic(), self._refresher.snapshot
        if held is None or not held.is_usable(now):
            flight = self._refresher.board("expired" if held else "cold", current=lambda: self._is_held(held))
            return flight or self._look(key_id, asked)  # None: another flight landed between the two lines
        if now >= held.refresh_at:
            self._refresher.nudge()
        if key_id is None or key_id in held.keys:
            return held.keys.find(key_id)
        if held.is_fresh(now):
            _check_not_skipped(held, key_id)
        return self._look_for_unknown(key_id, held, asked, now)

    def _look_for_unknown(self, key_id: str, held: KeySnapshot, asked: int, now: float) -> PublicJWK | Flight:
        """A flight that may bring the kid. Only an answer fetched after the caller asked proves it absent."""
        if held.flight > asked:
            if not held.is_confirmed:
                raise unavailable("a mirror cannot say that a key is unknown")
            self._unknown.remember(key_id, now)
            raise _not_found()
        if held.is_fresh(now) and self._unknown.remembers(key_id, now):
            raise _not_found()
        flight = self._refresher.board(
            "unknown_kid", lambda: self._may_refetch(held, now), current=lambda: self._is_held(held)
        )
        return flight or self._look(key_id, asked)

    def _wait(self, flight: Flight, until: float) -> UnavailableError | None:
        try:
            return flight.landed.result(max(0.0, until - SYSTEM_CLOCK.monotonic()))
        except TimeoutError:
            return unavailable("the key source did not answer in time")

    async def _await(self, flight: Flight, until: float) -> UnavailableError | None:
        try:
            landed = asyncio.wrap_future(flight.landed)
            return await asyncio.wait_for(landed, max(0.0, until - SYSTEM_CLOCK.monotonic()))
        except TimeoutError:
            return unavailable("the key source did not answer in time")

    def _is_held(self, held: KeySnapshot | None) -> bool:
        return self._refresher.snapshot is held

    def _may_refetch(self, held: KeySnapshot, now: float) -> bool:
        """Raises when the budget is used up."""
        if self._budget.reserve(now):
            return True
        if held.is_fresh(now) and held.is_confirmed:
            raise _not_found()
        raise unavailable("the key set is too old, or a mirror's, and cannot say that a key is unknown")

    def _patience_until(self) -> float:
        """Waiting takes real time, also where ``clock`` only moves when told to."""
        held = self._refresher.snapshot
        usable = held is not None and held.is_usable(self._clock.monotonic())
        wait_s = min(self._timeout_s, self._settings.unknown_kid_wait_s) if usable else self._timeout_s
        return SYSTEM_CLOCK.monotonic() + wait_s


def _check_not_skipped(held: KeySnapshot, key_id: str) -> None:
    """A kid that is published is not unknown: no fetch brings it while its key cannot be used."""
    for one in held.keys.unusable:
        if one.key_id == key_id:
            raise RejectedError(one.reason, "the token's key is published, and cannot be used here")


def check_landed(failure: UnavailableError | None) -> None:
    """The failure is shared by all who waited, so each raises an error of its own."""
    if failure is not None:
        raise unavailable("the key source gave no keys", failure.detail) from failure


def _not_found() -> RejectedError:
    return RejectedError(Reason.KEY_NOT_FOUND, "no key with the token's kid is known")
