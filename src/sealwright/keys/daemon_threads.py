"""DaemonThreads: a bounded number of threads that take up calls in order, and that no end of a process waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonThreads:
    """What ThreadPoolExecutor is, but for its threads: those of the library keep a process alive whose call hangs."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._started = 0
        self._closed = False

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Raises RuntimeError after ``close``."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("these threads take no more calls")
            self._calls.put((future, call))
            if self._started < self._most:
                self._started += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._started}", daemon=True).start()
        return future

    def close(self) -> None:
        """Cancel what nobody has taken up; what is under way ends by itself, or with the process."""
        with self._lock:
            self._closed = True
        try:
            while True:
                waiting = self._calls.get_nowait()
                if waiting is not None:
                    waiting[0].cancel()
        except Empty:
            pass
        for _ in range(self._started):
            self._calls.put(None)

    def _run(self) -> None:
        while (taken := self._calls.get()) is not None:
            future, call = taken
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 raised where the answer is waited for
                future.set_exception(error)
            del taken, future, call  # an idle thread keeps nothing alive
