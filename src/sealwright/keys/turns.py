"""Turns among the threads of one process: what a catalog with one writer process needs, and no more."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

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


def busy() -> UnavailableError:
    return UnavailableError(Reason.CATALOG_BUSY, "somebody else is at work on these keys: try again in a moment")
