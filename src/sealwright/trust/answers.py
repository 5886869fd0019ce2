"""Answers: what others said, kept for a time, bounded in number, and asked for once by all who wait for it.

Nothing waits while an answer is fresh, and nobody waits for long while one can still be used. No lock is held anywhere.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, UnavailableError
from sealwright.trust.flight import without_frames

T = TypeVar("T")

PATIENCE_S = 1.0  # how long a flight is waited for by those who could do with an older answer
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """An answer, by the monotonic clock: asked for again ``ahead_at``, good until ``fresh_until``, and, while no newer
    one can be had, until ``usable_until``.
    """

    value: T
    at: float
    fresh_until: float
    usable_until: float
    ahead_at: float = math.inf


class Looked(NamedTuple, Generic[T]):
    """``cached`` when nobody waited for it; ``age_s`` in seconds."""

    value: T
    cached: bool
    age_s: float


class _Failure(NamedTuple):
    error: UnavailableError
    times: int
    until: float


class _Flight(NamedTuple):
    began: float  # by the system's clock
    landed: Future[Kept[object] | UnavailableError]


Ask = Callable[[Kept[T] | None], Kept[T]]  # takes the answer before; raises UnavailableError
Asked = Callable[[float, Reason | None], None]  # how long it took, and why nothing came of it


class Answers(Generic[T]):
    """At most ``most`` answers and ``most_flights`` flights, each on a thread of its own; a flight has its own deadline
    and ``timeout_s`` is the longest wait of a caller.
    """

    def __init__(self, *, timeout_s: float, most: int, most_flights: int, clock: Clock, asked: Asked) -> None:
        self._timeout_s, self._most, self._most_flights = timeout_s, most, most_flights
        self._clock, self._asked = clock, asked
        self._kept: dict[Hashable, Kept[T]] = {}
        self._failures: dict[Hashable, _Failure] = {}
        self._flights: dict[Hashable, _Flight] = {}
        self._process = os.getpid()

    def get(self, key: Hashable, ask: Ask[T]) -> Looked[T] | UnavailableError:
        """What is known, or the error that nothing came of; errors of ``ask`` are not raised."""
        found, flight, wait_s = self._look(key, ask)
        if flight is None:
            return found
        with suppress(TimeoutError):
            return _landed(flight.landed.result(wait_s), found, self._clock.monotonic())
        return found

    async def aget(self, key: Hashable, ask: Ask[T]) -> Looked[T] | UnavailableError:
        """``get`` for an event loop: waits for the same flights."""
        found, flight, wait_s = self._look(key, ask)
        if flight is None:
            return found
        with suppress(TimeoutError):
            landed = asyncio.wrap_future(flight.landed)
            return _landed(await asyncio.wait_for(landed, wait_s), found, self._clock.monotonic())
        return found

    def _look(self, key: Hashable, ask: Ask[T]) -> tuple[Looked[T] | UnavailableError, _Flight | None, float]:
        """What to say without waiting, a flight that may bring something better, and how long to wait for it."""
        now, kept = self._clock.monotonic(), self._kept.get(key)
        if kept is not None and now < kept.fresh_until:
            if now >= kept.ahead_at:
                self._board(key, ask, kept)
            return Looked(kept.value, True, now - kept.at), None, 0.0
        boarded = self._board(key, ask, kept)
        flight = boarded if isinstance(boarded, _Flight) else None
        if kept is not None and now < kept.usable_until:
            left_s = 0.0 if flight is None else max(0.0, flight.began + PATIENCE_S - SYSTEM_CLOCK.monotonic())
            return Looked(kept.value, True, now - kept.at), flight if left_s else None, left_s
        late = UnavailableError(Reason.REVOCATION_UNAVAILABLE, "no answer came in time")
        return late if isinstance(boarded, _Flight) else boarded, flight, self._timeout_s

    def _board(self, key: Hashable, ask: Ask[T], kept: Kept[T] | None) -> _Flight | UnavailableError:
        if self._process != os.getpid():  # the threads of a parent do not fly here
            self._flights, self._process = {}, os.getpid()
        failure = self._failures.get(key)
        if failure is not None and self._clock.monotonic() < failure.until:
            return failure.error
        if key not in self._flights and len(self._flights) >= self._most_flights:
            return UnavailableError(Reason.REVOCATION_UNAVAILABLE, "too many are being asked about at once")
        mine = _Flight(SYSTEM_CLOCK.monotonic(), Future())
        mine.landed.set_running_or_notify_cancel()  # a caller who gives up must not cancel it for the others
        flight = self._flights.setdefault(key, mine)
        if flight is mine:
            fly = threading.Thread(target=self._fly, args=(key, ask, kept, mine), name="sealwright-status", daemon=True)
            try:
                fly.start()
            except RuntimeError:  # nobody would ever land it
                grounded = UnavailableError(Reason.REVOCATION_UNAVAILABLE, "no thread could be started to ask")
                self._flights.pop(key, None)
                mine.landed.set_result(grounded)
                return grounded
        return flight

    def _fly(self, key: Hashable, ask: Ask[T], kept: Kept[T] | None, flight: _Flight) -> None:
        began, brought = self._clock.monotonic(), _attempt(ask, kept)
        if isinstance(brought, UnavailableError):
            times = before.times + 1 if (before := self._failures.get(key)) else 1
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(times - 1, 10))
            _put(self._failures, key, _Failure(brought, times, self._clock.monotonic() + pause_s), self._most)
        else:
            self._failures.pop(key, None)
            _put(self._kept, key, brought, self._most)
        self._flights.pop(key, None)
        reason = brought.reason if isinstance(brought, UnavailableError) else None
        self._asked(self._clock.monotonic() - began, reason)
        flight.landed.set_result(brought)  # type: ignore[arg-type]


def _landed(
    brought: Kept[object] | UnavailableError, otherwise: Looked[T] | UnavailableError, now: float
) -> Looked[T] | UnavailableError:
    if isinstance(brought, UnavailableError):
        return brought if isinstance(otherwise, UnavailableError) else otherwise
    value: T = brought.value  # type: ignore[assignment]  # it was asked for by this key
    return Looked(value, False, max(0.0, now - brought.at))


def _attempt(ask: Ask[T], kept: Kept[T] | None) -> Kept[T] | UnavailableError:
    try:
        return ask(kept)
    except UnavailableError as error:
        return without_frames(error)
    except Exception as error:  # noqa: BLE001 - a fault must not strand those who wait
        fault = UnavailableError(Reason.REVOCATION_UNAVAILABLE, "it could not be asked", detail=repr(type(error)))
        fault.__cause__ = error
        return without_frames(fault)


V = TypeVar("V")


def _put(memory: dict[Hashable, V], key: Hashable, value: V, most: int) -> None:
    """The oldest go. Another thread may do the same at this moment, hence what is suppressed."""
    memory.pop(key, None)
    memory[key] = value
    while len(memory) > most:
        with suppress(KeyError, StopIteration, RuntimeError):
            del memory[next(iter(memory))]
