"""ForkGuard: nothing of SQLite is carried over a fork. What is open is closed before, and opened anew by its user."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class ForkGuard:
    """A context in which a connection is used, and for which a fork waits; then it calls ``close``.

    SQLite counts in the memory of the process which locks its connections hold: a child would see those of its parent
    as held for ever, and hold none of them.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        """``close`` is a bound method, and does not keep its object alive."""
        self._close, self._lock = weakref.WeakMethod(close), threading.Lock()
        _hook()
        _guards.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: Any) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        self._lock.acquire()
        if (close := self._close()) is not None:
            with suppress(Exception):  # what cannot be closed properly is forgotten
                close()

    def after_fork(self) -> None:
        self._lock.release()


_guards: weakref.WeakSet[ForkGuard] = weakref.WeakSet()
_forking = threading.Lock()  # one fork after the other, so that two do not wait for each other's guards
_held: list[ForkGuard] = []  # of the fork that is under way
_hooked: list[bool] = []


def _hook() -> None:
    """At the first use, and once: it cannot be undone."""
    if not _hooked:
        _hooked.append(True)
        os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)


def _before() -> None:
    _forking.acquire()
    for one in list(_guards):
        one.before_fork()
        _held.append(one)


def _after() -> None:
    while _held:
        _held.pop().after_fork()
    _forking.release()
