"""Turns: one holder at a time, among the threads of one process or of many."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import Reason, UnavailableError


class LocalTurns:
    """One lock for each name; the thread that holds one may take it again."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._locks: dict[str, threading.RLock] = defaultdict(threading.RLock)

    @contextmanager
    def take(self, name: str, wait_s: float) -> Iterator[None]:
        """Raises UnavailableError ``catalog.busy``."""
        with self._making:
            lock = self._locks[name]
        if not lock.acquire(timeout=wait_s):
            raise busy()
        try:
            yield
        finally:
            lock.release()


TakeShared = Callable[[str, float], AbstractContextManager[None]]


class SharedTurns:
    """Turns among the threads of many processes: ``take_shared`` takes one for this whole process."""

    def __init__(self, take_shared: TakeShared) -> None:
        self._local = LocalTurns()
        self._take_shared = take_shared
        self._held: set[str] = set()

    @contextmanager
    def take(self, name: str, wait_s: float) -> Iterator[None]:
        """Threads line up here first, so that each name costs a process one lock at most."""
        began = SYSTEM_CLOCK.monotonic()
        with self._local.take(name, wait_s):
            if name in self._held:  # by this very thread
                yield
                return
            left_s = max(0.0, wait_s - (SYSTEM_CLOCK.monotonic() - began))
            with self._take_shared(name, left_s):
                self._held.add(name)
                try:
                    yield
                finally:
                    self._held.discard(name)


def busy() -> UnavailableError:
    return UnavailableError(Reason.CATALOG_BUSY, "somebody else is at work on these keys: try again in a moment")
