"""Refresher: one flight at a time, ahead of expiry, paced by backoff; it publishes what the flight brings.

Its thread makes the flights, or without one (``background`` False) the first who waits. The lock guards a few fields
and is never held over I/O: readers take ``snapshot`` without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace

from sealwright.clock import Clock
from sealwright.errors import Reason, UnavailableError
from sealwright.events import FileUse, KeyFileFailed, KeySourceRefreshed, Observer, tell
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.flight import Cause, Fetch, Flight, attempt, unavailable
from sealwright.trust.key_snapshot import FetchedKeys, KeySnapshot, same_keys
from sealwright.trust.last_good import LastGoodKeys
from sealwright.trust.refresh_thread import RefreshThread

Permit = Callable[[], bool]


def always() -> bool:
    return True


class Refresher:
    """``started`` counts flights; ``snapshot`` is what the last successful one brought, read without the lock."""

    def __init__(
        self,
        source: str,
        fetch: Fetch,
        *,
        settings: CacheSettings,
        clock: Clock,
        observer: Observer | None,
        changed: Callable[[], None],
        seed: KeySnapshot | None = None,
        last_good: LastGoodKeys | None = None,
        background: bool = True,
    ) -> None:
        self.snapshot = replace(seed, flight=0) if seed else None
        self.started = 0
        self.last_error: Reason | None = None
        self.file_error: Reason | None = None
        self._last_good, self._is_read = last_good, False
        self._source, self._fetch, self._changed, self._background = source, fetch, changed, background
        self._settings, self._clock, self._observer = settings, clock, observer
        self._backoff = settings.pacing()
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._thread: RefreshThread | None = None
        self._closed = False

    @property
    def due_at(self) -> float:
        """When the thread will fetch unasked; backoff wins over everything."""
        return max(self.snapshot.refresh_at if self.snapshot else self._backoff.until, self._backoff.until)

    def board(self, cause: Cause, permit: Permit = always, *, current: Permit = always) -> Flight | None:
        """The flight in the air, or a new one when ``permit`` allows; None to look again.

        Both are asked under the lock, ``current`` first: whether what the caller has looked at is still all there is.
        Raises UnavailableError while a failed source is left alone, and after close().
        """
        with self._lock:
            if not current():
                return None
            if self._flight is not None:
                return self._flight
            if self._closed:
                raise unavailable("the key source is closed")
            if self._clock.monotonic() < self._backoff.until:
                raise unavailable("the key source failed a moment ago")
            return self._start(cause) if permit() else None

    def nudge(self) -> None:
        """Let the thread refresh if that is due; never waits and never raises."""
        if self._background and self._flight is None and not self._closed and self._is_due():
            with suppress(UnavailableError):
                self.board(self._due_cause(), self._is_due)

    def run(self) -> None:
        """Start the thread before the first flight, so that a seeded snapshot is refreshed in time."""
        with self._lock, suppress(UnavailableError):
            self._running_thread()

    def fly(self, flight: Flight) -> None:
        """Make a flight here that is the caller's."""
        try:
            self._fly(flight)
        finally:  # what is no Exception, such as a runtime's deadline, must not leave it in the air
            self._abandon(flight, "the fetch was broken off")

    def work(self) -> float | None:
        self.nudge()
        if (flight := self._flight) is not None:
            self._fly(flight)
        return None if self._closed else max(0.0, self.due_at - self._clock.monotonic())

    def close(self, timeout_s: float) -> None:
        with self._lock:
            self._closed, flight = True, self._flight
        if flight is not None:
            self._abandon(flight, "the key source was closed")
        if self._thread is not None:
            self._thread.wake()
            self._thread.join(timeout_s)

    def _abandon(self, flight: Flight, why: str) -> None:
        """Nobody must wait for what will not land; what has landed is left alone."""
        with self._lock:
            if self._flight is not flight:
                return
            self._flight = None
        flight.landed.set_result(unavailable(why))

    def _start(self, cause: Cause) -> Flight:
        thread = self._running_thread() if self._background else None
        self.started += 1
        self._flight = Flight(self.started, cause, Future())
        self._flight.landed.set_running_or_notify_cancel()  # a caller who gives up must not cancel it for the others
        if thread is not None:
            thread.wake()
        return self._flight

    def _running_thread(self) -> RefreshThread:
        if self._thread is None:
            try:
                self._thread = RefreshThread(self)
            except RuntimeError as error:
                raise unavailable("no thread could be started to fetch keys") from error
        return self._thread

    def _is_due(self) -> bool:
        return self._clock.monotonic() >= self.due_at

    def _due_cause(self) -> Cause:
        if self.snapshot is None:
            return "cold"
        return "ahead" if self.snapshot.is_fresh(self._clock.monotonic()) else "expired"

    def _fly(self, flight: Flight) -> None:
        if self._recall() and self._land_recalled(flight):
            return
        began, before = self._clock.monotonic(), self.snapshot
        answer = attempt(self._fetch, before)
        changed = self._land(flight, answer, began, before)
        if changed is None:
            return
        failure = answer if isinstance(answer, UnavailableError) else None
        flight.landed.set_result(failure)
        self._observe(flight, answer, changed, began)
        if failure is None:
            self._keep()

    def _recall(self) -> bool:
        """Take what the file holds, once, when there is nothing else."""
        if self.snapshot is not None or self._last_good is None or self._is_read:
            return False
        self._is_read = True
        with self._reporting("read"):
            self.snapshot = self._last_good.read()
        return self.snapshot is not None

    def _land_recalled(self, flight: Flight) -> bool:
        """Serve who waits from the file; the thread's next turn fetches. Who asked for a fetch waits for it."""
        with self._lock:
            if flight.cause == "asked" or self._flight is not flight:
                return False
            self._flight = None
        flight.landed.set_result(None)
        return True

    def _keep(self) -> None:
        """After the callers have been served: no disk holds them up."""
        if self._last_good is not None and self.snapshot is not None:
            with self._reporting("write"):
                self._last_good.write(self.snapshot)

    @contextmanager
    def _reporting(self, use: FileUse) -> Iterator[None]:
        """Whatever is wrong with the file, the source goes on."""
        try:
            yield
            self.file_error = None
        except Exception as error:  # noqa: BLE001 - nothing about a file may end the thread
            reason = error.reason if isinstance(error, UnavailableError) else Reason.SOURCE_UNAVAILABLE
            self.file_error = reason
            tell(self._observer, KeyFileFailed(self._source, use, reason))

    def _land(
        self, flight: Flight, answer: FetchedKeys | UnavailableError, began: float, before: KeySnapshot | None
    ) -> bool | None:
        """Publish the answer; whether the keys changed, None when the source was closed meanwhile."""
        with self._lock:
            if self._flight is not flight:
                return None
            changed = self._take(flight, answer, began, before)
            self._flight = None
        if changed:
            self._changed()
        return changed

    def _take(
        self, flight: Flight, answer: FetchedKeys | UnavailableError, began: float, before: KeySnapshot | None
    ) -> bool:
        landed = self._clock.monotonic()
        if isinstance(answer, UnavailableError):
            self.last_error = answer.reason
            self._backoff.failed(landed)
            return False
        self.snapshot = KeySnapshot.after(
            before,
            answer,
            flight=flight.number,
            began=began,
            landed=landed,
            settings=self._settings,
            began_unix_s=self._clock.now() - (landed - began),
        )
        self.last_error = None
        self._backoff.succeeded()
        return before is None or not same_keys(before.keys, self.snapshot.keys)

    def _observe(self, flight: Flight, answer: FetchedKeys | UnavailableError, changed: bool, began: float) -> None:
        if self._observer is None:
            return
        held, failure = self.snapshot, answer if isinstance(answer, UnavailableError) else None
        said_at = answer.said_unix_s if isinstance(answer, FetchedKeys) else None
        event = KeySourceRefreshed(
            source=self._source,
            cause=flight.cause,
            outcome="failed" if failure else "changed" if changed else "unchanged",
            keys=len(held.keys) if held else 0,
            unusable=len(held.keys.unusable) if held else 0,
            duration_s=self._clock.monotonic() - began,
            reason=failure.reason if failure else None,
            url=held.url if held else None,
            clock_offset_s=None if said_at is None else said_at - self._clock.now(),
        )
        tell(self._observer, event)
