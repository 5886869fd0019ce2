"""SigningQueue: the way to one key backend; so many calls at once, so many waiting, and nobody past a deadline."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, SealwrightError, UnavailableError
from sealwright.events import Observer, SigningWaited, tell
from sealwright.keys.daemon_threads import DaemonThreads

T = TypeVar("T")
S = TypeVar("S")
REQUEST_THREADS = (
    32  # they wait for a place at the backend, and then for the audit: what waits together commits together
)
LEAST_SHARE = 25  # signatures of a batch by which another thread is worth its while
SIGNATURES_PER_DEADLINE = 100  # a batch has the deadline once more for each further hundred


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when somebody waits. What is late is not signed, and what was signed too late is not released."""

    ends: float  # on the monotonic clock
    clock: Clock = SYSTEM_CLOCK

    def left_s(self) -> float:
        return max(0.0, self.ends - self.clock.monotonic())

    def check(self) -> None:
        """Raises UnavailableError ``signing.deadline``."""
        if self.clock.monotonic() >= self.ends:
            raise late()


class SigningQueue:
    """One for each backend, with threads of its own: a backend that hangs takes no thread of another.

    ``concurrency`` bounds the calls of the backend at one time. ``in_process`` is for keys in our own memory: a batch
    of theirs is divided among cores as a whole, since handing over each signature would cost as much as making it.
    """

    def __init__(
        self,
        backend: str,
        *,
        concurrency: int,
        in_process: bool = False,
        most_waiting: int = 1000,
        deadline_s: float = 2.0,
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
    ) -> None:
        self.backend = backend
        self.waiting = 0  # signatures that no thread has taken up yet
        self.in_flight = 0  # signatures in the hands of a thread
        self._most_waiting, self._deadline_s = most_waiting, deadline_s
        self._clock, self._observer = clock, observer
        self._lock = threading.Lock()
        self._places = threading.Semaphore(concurrency)
        self._requests = DaemonThreads(REQUEST_THREADS, f"sign-{backend}")
        self._concurrency, self._in_process = concurrency, in_process
        self._lanes = DaemonThreads(concurrency, f"batch-{backend}")

    def deadline(self, signatures: int = 1) -> Deadline:
        periods = 1 + (signatures - 1) // SIGNATURES_PER_DEADLINE
        return Deadline(self._clock.monotonic() + self._deadline_s * periods, self._clock)

    def submit(self, work: Callable[[], T], deadline: Deadline, signatures: int = 1) -> Future[T]:
        """Have the work done by a thread of this backend, unless the deadline has passed by then.

        Raises UnavailableError ``signing.busy`` at once when too many wait; the future raises ``signing.deadline``.
        """
        with self._lock:
            full = self.waiting + signatures > max(self._most_waiting, signatures)
            self.waiting += 0 if full else signatures
        if full:
            self._report(0.0, Reason.SIGNING_BUSY)
            message = "more signatures are waited for than the key backend can make: try again in a moment"
            raise UnavailableError(Reason.SIGNING_BUSY, message)
        try:
            return self._requests.submit(partial(self._run, work, deadline, signatures, self._clock.monotonic()))
        except RuntimeError as error:  # it was closed
            self._taken(-signatures, 0)
            raise UnavailableError(Reason.SIGNING_BUSY, "the service is stopping: try again in a moment") from error

    def each(self, call: Callable[[S], T], items: Sequence[S], deadline: Deadline | None) -> list[T]:
        """The answers of the backend in order, never more calls at a time than it bears."""

        def answers(share: Sequence[S]) -> list[T]:
            with self._place(deadline):
                return [call(item) for item in share]

        size = max(LEAST_SHARE, math.ceil(len(items) / self._concurrency)) if self._in_process else 1
        if len(items) <= size:
            return answers(items)
        shares = [items[start : start + size] for start in range(0, len(items), size)]
        futures = [self._lanes.submit(partial(answers, share)) for share in shares]
        try:
            made = [future.result(None if deadline is None else deadline.left_s()) for future in futures]
            return [answer for share in made for answer in share]
        except TimeoutError as error:
            raise late() from error
        finally:
            for future in futures:  # after a failure the others are not asked for any more
                future.cancel()

    def close(self) -> None:
        """Take nothing more; what is under way ends by itself."""
        self._requests.close()
        self._lanes.close()

    def _run(self, work: Callable[[], T], deadline: Deadline, signatures: int, since: float) -> T:
        self._taken(-signatures, signatures)
        try:
            deadline.check()
            self._report(self._clock.monotonic() - since, None)
            return work()
        except SealwrightError as error:
            if error.reason is Reason.SIGNING_DEADLINE:
                self._report(self._clock.monotonic() - since, error.reason)
            raise
        finally:
            self._taken(0, -signatures)

    @contextmanager
    def _place(self, deadline: Deadline | None) -> Iterator[None]:
        if not self._places.acquire(timeout=None if deadline is None else deadline.left_s()):
            raise late()
        try:
            yield
        finally:
            self._places.release()

    def _taken(self, waiting: int, in_flight: int) -> None:
        with self._lock:
            self.waiting += waiting
            self.in_flight += in_flight

    def _report(self, waited_s: float, reason: Reason | None) -> None:
        if self._observer is not None:
            tell(self._observer, SigningWaited(self.backend, waited_s, reason))


def late() -> UnavailableError:
    message = "the signature was not ready in time and was not released: try again in a moment"
    return UnavailableError(Reason.SIGNING_DEADLINE, message)
