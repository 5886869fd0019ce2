"""StatementReader: fetches one signed statement again and again, on a thread of its own and never in a caller's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from secrets import SystemRandom
from typing import NamedTuple

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.events import Observer, StatementKind, StatementRefreshed, tell
from sealwright.trust.backoff import Backoff
from sealwright.trust.refresh_thread import RefreshThread

_RANDOM = SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSettings:
    """Seconds; ``floor_s`` is the least time between two fetches, whoever asks for the second.

    ``skew_s`` is how far the clock may be off that of the service. Raises ConfigurationError ``settings.invalid``.
    """

    refresh_s: float = 15.0
    jitter_ratio: float = 0.1
    timeout_s: float = 5.0
    floor_s: float = 0.25
    skew_s: float = 120.0
    backoff_first_s: float = 1.0
    backoff_maximum_s: float = 15.0

    def __post_init__(self) -> None:
        if not 0 < self.floor_s <= self.refresh_s or not 0 < self.timeout_s <= 60 or not 0 <= self.skew_s <= 300:
            raise ConfigurationError(Reason.SETTINGS_INVALID, "the times of a feed contradict each other")


class Fetched(NamedTuple):
    """``body`` None means that what was taken last is still right."""

    body: bytes | None
    etag: str | None = None


class Taken(NamedTuple):
    """What holds now, after a statement was taken."""

    changed: bool
    sequence: int
    keys: int
    refresh_s: float | None = None  # a wish of the statement itself


Fetch = Callable[[str | None], Fetched]  # takes the ETag we have; raises UnavailableError
Take = Callable[[bytes | None], Taken]  # raises RejectedError or UnavailableError, and then changes nothing


class StatementReader:
    """``take`` verifies, keeps and publishes what ``fetch`` brings. Both run on the thread only."""

    def __init__(
        self,
        kind: StatementKind,
        issuer: str,
        fetch: Fetch,
        take: Take,
        *,
        settings: ReaderSettings,
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
    ) -> None:
        self._kind, self._issuer, self._fetch, self._take = kind, issuer, fetch, take
        self._settings, self._clock, self._observer = settings, clock, observer
        self._backoff = Backoff(settings.backoff_first_s, settings.backoff_maximum_s, 0.25)
        self._landed = threading.Condition()
        self._began = self._next = float("-inf")
        self._asked, self._closed = False, False
        self._etag: str | None = None
        self._thread: RefreshThread | None = None
        self.landings = 0
        self.succeeded_at: float | None = None  # monotonic
        self.last_error: Reason | None = None

    def start(self) -> None:
        """Fetch from now on. Once; a second call does nothing."""
        with self._landed:
            if self._thread is None and not self._closed:
                self._thread = RefreshThread(self)

    def ask(self) -> None:
        """Fetch as soon as backoff and floor allow; never waits."""
        self._asked = True
        if self._thread is not None:
            self._thread.wake()

    def wait_until(self, check: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it came true in time; looked at after each landing. Waiting takes real time."""
        with self._landed:
            return self._landed.wait_for(lambda: self._closed or check(), timeout_s) and check()

    @property
    def due_at(self) -> float:
        return max(self._backoff.until, self._began + self._settings.floor_s if self._asked else self._next)

    def work(self) -> float | None:
        if not self._closed and self._clock.monotonic() >= self.due_at:
            self._refresh()
        return None if self._closed else max(0.0, self.due_at - self._clock.monotonic())

    def close(self) -> None:
        with self._landed:
            self._closed = True
            self._landed.notify_all()
        if self._thread is not None:
            self._thread.wake()
            self._thread.join(self._settings.timeout_s)

    def _refresh(self) -> None:
        self._began, self._asked = self._clock.monotonic(), False
        answer = self._attempt()
        landed = self._clock.monotonic()
        if isinstance(answer, Taken):
            self._backoff.succeeded()
            self.last_error, self.succeeded_at = None, landed
        else:
            self.last_error, self._etag = answer, None
            self._backoff.failed(landed)
        self._next = landed + self._pause_s(answer)
        with self._landed:
            self.landings += 1
            self._landed.notify_all()
        self._observe(answer, landed - self._began)

    def _attempt(self) -> Taken | Reason:
        try:
            fetched = self._fetch(self._etag)
            taken = self._take(fetched.body)
        except (RejectedError, UnavailableError) as error:
            return error.reason
        except Exception:  # noqa: BLE001 - a bug must not end the thread: everything would be undecided for good
            return Reason.SOURCE_UNAVAILABLE
        self._etag = fetched.etag
        return taken

    def _pause_s(self, answer: Taken | Reason) -> float:
        wished = answer.refresh_s if isinstance(answer, Taken) else None
        pause_s = self._settings.refresh_s if wished is None else max(self._settings.floor_s, wished)
        return pause_s * (1.0 + _RANDOM.uniform(-self._settings.jitter_ratio, 0.0))

    def _observe(self, answer: Taken | Reason, duration_s: float) -> None:
        failed = isinstance(answer, Reason)
        event = StatementRefreshed(
            kind=self._kind,
            issuer=self._issuer,
            outcome="failed" if isinstance(answer, Reason) else "changed" if answer.changed else "unchanged",
            sequence=None if isinstance(answer, Reason) else answer.sequence,
            keys=None if isinstance(answer, Reason) else answer.keys,
            duration_s=duration_s,
            reason=answer if failed else None,  # type: ignore[arg-type]
        )
        tell(self._observer, event)
