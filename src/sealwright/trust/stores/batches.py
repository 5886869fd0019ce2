"""Batches: claims that arrive while others are under way go out together, one flight at a time, on a thread of its own.

The lock guards a few fields and is never held over I/O. Threads and event loops wait for the same futures.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from sealwright.errors import ConfigurationError, Reason, SealwrightError, UnavailableError
from sealwright.trust.refresh_thread import RefreshThread
from sealwright.trust.replay import unavailable

LARGEST_BATCH = 256
MOST_WAITING = 20_000
IDLE_S = 3600.0
FIRST_ANSWER_S = 5.0


class Claim(NamedTuple):
    key: bytes
    ttl_ms: int


Answer = bool | UnavailableError


class Sender(Protocol):
    """A connection to a store, of one process and one thread. Opens itself, anew after a failure."""

    def send(self, claims: Sequence[Claim]) -> Sequence[Answer]:
        """Whether each was the first; no claims only prove the store. Raises ours, or what its driver does."""
        ...

    def tidy(self) -> None:
        """What nobody should have to wait for. Raises likewise, and nobody hears of it."""
        ...

    def close(self) -> None: ...


class _Waiting(NamedTuple):
    claim: Claim | None  # None asks only whether the store can be relied on
    answer: Future[bool]


class Batches:
    """The claims of one process. A caller waits for ``timeout_s`` at most."""

    def __init__(self, open_sender: Callable[[], Sender], *, timeout_s: float, name: str) -> None:
        self.errors = 0
        self._open, self._timeout_s, self._name = open_sender, timeout_s, name
        self._sender: Sender | None = None
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._thread: RefreshThread | None = None
        self._closed = False

    def ask(self, claim: Claim) -> bool:
        return self._wait(claim, self._timeout_s)

    def check(self) -> None:
        """Connecting for the first time may take longer than a claim."""
        self._wait(None, max(self._timeout_s, FIRST_ANSWER_S))

    def _wait(self, claim: Claim | None, timeout_s: float) -> bool:
        answer = self._enqueue(claim)
        try:
            return answer.result(timeout_s)
        except TimeoutError:
            answer.cancel()
            raise self._late() from None

    async def aask(self, claim: Claim) -> bool:
        answer = asyncio.wrap_future(self._enqueue(claim))
        try:
            return await asyncio.wait_for(answer, self._timeout_s)
        except TimeoutError:
            raise self._late() from None

    def work(self) -> float | None:
        batch = self._take()
        if batch:
            self._fly(batch)
        with self._lock:
            if self._waiting:
                return 0.0
            if not self._closed:
                return IDLE_S
        if self._sender is not None:
            self._sender.close()
        return None

    def close(self) -> None:
        with self._lock:
            self._closed, thread = True, self._thread
            left, self._waiting = self._waiting, deque()
        for one in left:
            if one.answer.set_running_or_notify_cancel():
                one.answer.set_exception(unavailable("the store is closed"))
        if thread is not None:
            thread.wake()
            thread.join(self._timeout_s)

    def _enqueue(self, claim: Claim | None) -> Future[bool]:
        waiting = _Waiting(claim, Future())
        with self._lock:
            if self._closed:
                raise unavailable("the store is closed")
            if len(self._waiting) >= MOST_WAITING:
                self.errors += 1
                raise unavailable("too many wait for the store")
            if self._thread is None:
                self._thread = self._started()
            self._waiting.append(waiting)
            thread = self._thread
        thread.wake()
        return waiting.answer

    def _started(self) -> RefreshThread:
        try:
            return RefreshThread(self, self._name)
        except RuntimeError as error:
            raise unavailable("no thread could be started for the store") from error

    def _take(self) -> list[_Waiting]:
        """The next batch, without those that nobody waits for any more."""
        batch: list[_Waiting] = []
        with self._lock:
            while self._waiting and len(batch) < LARGEST_BATCH:
                one = self._waiting.popleft()
                if one.answer.set_running_or_notify_cancel():
                    batch.append(one)
        return batch

    def _fly(self, batch: Sequence[_Waiting]) -> None:
        asked = [one for one in batch if one.claim is not None]
        try:
            if self._sender is None:
                self._sender = self._open()
            firsts = self._sender.send([one.claim for one in asked if one.claim is not None])
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the callers get an answer
            self.errors += 1
            for one in batch:
                one.answer.set_exception(_translated(error))
            return
        for one, first in zip(asked, firsts, strict=True):
            if isinstance(first, bool):
                one.answer.set_result(first)
            else:
                self.errors += 1
                one.answer.set_exception(_translated(first))
        for one in batch:
            if one.claim is None:
                one.answer.set_result(True)
        self._tidy(self._sender)

    def _tidy(self, sender: Sender) -> None:
        try:
            sender.tidy()
        except Exception:  # noqa: BLE001 - the next flight meets the same, and has somebody to tell
            self.errors += 1

    def _late(self) -> UnavailableError:
        self.errors += 1
        return unavailable("the store did not answer in time")


def _translated(error: Exception) -> SealwrightError:
    """An error for each caller: they are raised in several threads at once."""
    if isinstance(error, ConfigurationError):
        return ConfigurationError(error.reason, error.message, detail=error.detail)
    if isinstance(error, UnavailableError):
        return UnavailableError(error.reason, error.message, detail=error.detail)
    return unavailable(detail=type(error).__name__)


def undecided(error: ConfigurationError) -> UnavailableError:
    """What wrong settings of a store mean for one claim."""
    return UnavailableError(Reason.REPLAY_UNAVAILABLE, "the store cannot be relied on as it is", detail=error.message)
