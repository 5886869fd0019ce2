"""RefreshThread: the daemon thread on which one source or store does all its I/O. It holds its owner weakly."""

from __future__ import annotations

import threading
import weakref
from typing import Protocol


class Worker(Protocol):
    """What the thread drives."""

    def work(self) -> float | None:
        """Do what is due; seconds until the next turn, None to end."""


class RefreshThread:
    """Starts at once and ends when its worker says so, or is no longer referenced by anyone."""

    def __init__(self, worker: Worker, name: str = "sealwright-jwks") -> None:
        self._wake = wake = threading.Event()
        reference = weakref.ref(worker, lambda _: wake.set())
        self._thread = threading.Thread(target=_run, args=(reference, wake), name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)


def _run(reference: weakref.ref[Worker], wake: threading.Event) -> None:
    while (pause_s := _turn(reference())) is not None:
        wake.wait(pause_s)
        wake.clear()


def _turn(worker: Worker | None) -> float | None:
    return None if worker is None else worker.work()
