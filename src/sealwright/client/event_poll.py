"""EventPoll: the closed loop, on a thread of its own: report, hear of events, fetch, try, and report again at once."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sealwright.client.incoming_events import IncomingEvents
from sealwright.client.poll_line import PollLine
from sealwright.client.trials import Trials
from sealwright.client.verifier_report import Reporting
from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, SealwrightError
from sealwright.events import EventsPolled, Observer, tell
from sealwright.statements.security_events import KeysChanged
from sealwright.statements.verifier_reports import Tried, parse_answer
from sealwright.trust.backoff import Backoff
from sealwright.trust.refresh_thread import RefreshThread

MOST_EVENTS = 64
_FLOOR_S, _IDLE_FLOOR_S = 0.25, 1.0  # the least time between two polls; a service that holds none is not hammered
_BACKOFF_FIRST_S, _BACKOFF_MAXIMUM_S, _JITTER_RATIO = 0.5, 15.0, 0.25


@dataclass(frozen=True, slots=True)
class PollStatus:
    """``age_s`` is the time since the last poll that was answered; None for never."""

    age_s: float | None
    last_error: Reason | None
    events: int
    refused: int


class EventPoll:
    """One poll is open at a time. ``refetch`` gets what came, at first nothing, and returns when it has looked.

    A fork starts a thread of its own, under the name that ``reporting`` gives it then.
    """

    def __init__(
        self,
        line: PollLine,
        incoming: IncomingEvents,
        trials: Trials,
        reporting: Callable[[], Reporting],
        refetch: Callable[[Sequence[KeysChanged]], None],
        *,
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
    ) -> None:
        self._line, self._incoming, self._trials = line, incoming, trials
        self._make_reporting, self._refetch = reporting, refetch
        self._clock, self._observer = clock, observer
        self._thread: RefreshThread | None = None
        self._closed = False
        self._renew()

    def start(self) -> None:
        self._thread = RefreshThread(self)
        if hasattr(os, "register_at_fork"):
            mine = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _restart(mine()))

    def wake(self) -> None:
        """There is something to report: the poll that is open ends, and the next begins."""
        self._line.cut()

    def status(self) -> PollStatus:
        age_s = None if self._answered_at is None else self._clock.monotonic() - self._answered_at
        return PollStatus(age_s, self._last_error, self._incoming.good, self._incoming.refused)

    def close(self) -> None:
        """Cut the poll that is open, and end the thread."""
        self._closed = True
        self._line.close()
        if self._thread is not None:
            self._thread.wake()
            self._thread.join(5.0)

    def work(self) -> float | None:
        now = self._clock.monotonic()
        if not self._closed and now >= self._due:
            self._turn(now)
        return None if self._closed else max(0.0, self._due - self._clock.monotonic())

    def restart(self) -> None:
        """In a child of a fork: threads did not survive, and the connection is the parent's."""
        if not self._closed:
            self._line.forget()
            self._renew()
            self._thread = RefreshThread(self)

    def _renew(self) -> None:
        self._reporting = self._make_reporting()
        self._backoff = Backoff(_BACKOFF_FIRST_S, _BACKOFF_MAXIMUM_S, _JITTER_RATIO)
        self._due = float("-inf")
        self._answered_at: float | None = None
        self._last_error: Reason | None = None
        self._is_first = True

    def _turn(self, began: float) -> None:
        good, refused = self._incoming.good, self._incoming.refused
        failure: Reason | None = None
        news = False
        try:
            news = self._poll()
        except SealwrightError as error:
            failure = error.reason
        except Exception:  # noqa: BLE001 - a bug must not end the loop
            failure = Reason.SERVICE_FAULT
        landed = self._clock.monotonic()
        if failure is not None and self._line.was_cut:
            self._due = landed  # we ended it ourselves
            return
        self._settle(failure, news, began, landed)
        counts = self._incoming.good - good, self._incoming.refused - refused
        outcome = EventsPolled("failed" if failure else "answered", *counts, landed - began, failure)
        tell(self._observer, outcome)

    def _poll(self) -> bool:
        """One exchange; whether the next should follow at once."""
        if self._is_first:
            self._refetch(())
            self._is_first = False
        self._line.was_cut = False  # what changes from here on is not in the report
        self._trials.run()
        tried = self._trials.unsaid()
        answer = parse_answer(self._line.post(self._body(tried)))
        self._answered_at = self._clock.monotonic()
        self._trials.said(tried)
        self._incoming.answered()
        known = self._incoming.good
        events = self._incoming.take(answer.sets)
        if events:
            self._refetch(events)
        is_asked = self._trials.offer(answer.trials)
        return is_asked or self._incoming.good > known

    def _body(self, tried: Mapping[str, Tried]) -> dict[str, Any]:
        said = {"maxEvents": MOST_EVENTS, "returnImmediately": False, **self._incoming.answers()}
        return {**said, "verifier": self._reporting.report(tried).to_dict()}

    def _settle(self, failure: Reason | None, news: bool, began: float, landed: float) -> None:
        self._last_error = failure
        if failure is None:
            self._backoff.succeeded()
            self._due = began + (_FLOOR_S if news or self._line.was_cut else _IDLE_FLOOR_S)
        else:
            self._backoff.failed(landed)
            self._due = self._backoff.until


def _restart(poll: EventPoll | None) -> None:
    if poll is not None:
        poll.restart()
