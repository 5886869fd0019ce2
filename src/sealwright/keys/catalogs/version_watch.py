"""VersionWatch: the version of a shared catalog, read again and again by a thread, so that nobody waits to know it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import UnavailableError
from sealwright.keys.catalogs.database import ANSWER_WITHIN_S, unavailable

STALE_S = 2.0  # an answer that is older says nothing about now: the database is slow, gone or out of reach


class VersionWatch:
    """``read`` asks the database, in bounded time; ``every_s`` is None where no other process writes.

    A watch that was made before a fork starts again in the child.
    """

    def __init__(self, read: Callable[[], int], every_s: float | None) -> None:
        self._read = read
        self._every_s = every_s
        self._lock = threading.Lock()
        self._version, self._asked_at = 0, 0.0
        self._pid = 0
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self.ask()

    def ask(self) -> None:
        """Read it now. Raises UnavailableError."""
        asked_at = SYSTEM_CLOCK.monotonic()
        self.seen(self._read())
        self._asked_at = asked_at

    def seen(self, version: int) -> None:
        """What a commit of our own made of it; it only grows."""
        with self._lock:
            self._version = max(self._version, version)

    def version(self) -> int:
        """Never waits, but for the first answer. Raises UnavailableError when the last one is too old."""
        if self._every_s is not None and self._pid != os.getpid():
            self._start(self._every_s)
        if self.age_s() > STALE_S:
            raise unavailable()
        return self._version

    def age_s(self) -> float:
        return 0.0 if self._every_s is None else SYSTEM_CLOCK.monotonic() - self._asked_at

    def close(self) -> None:
        """The connection that a reading has is given back before the database is closed."""
        self._closed.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(ANSWER_WITHIN_S)

    def _start(self, every_s: float) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, args=(every_s,), name="catalog-version", daemon=True)
        self._thread.start()
        self.ask()  # it may have been long since it was made

    def _run(self, every_s: float) -> None:
        """An answer that was long in coming, as after an outage, is old already: the next is asked for at once."""
        pause_s = every_s
        while not self._closed.wait(pause_s):
            pause_s = every_s
            with suppress(UnavailableError):  # its age says so
                self.ask()
                pause_s = max(0.0, every_s - self.age_s())
