"""PerProcess: one driver for each process, opened at its first use; after a fork the child opens its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Threads may ask at once. There is no lock, so none can be left held in a child by a thread it does not have."""

    def __init__(self, opened: Callable[[], T], closed: Callable[[T], None]) -> None:
        self._opened = opened
        self._closed = closed
        self._drivers: dict[int, T] = {}

    def get(self) -> T:
        driver = self._drivers.get(os.getpid())
        if driver is None:
            mine = self._opened()
            driver = self._drivers.setdefault(os.getpid(), mine)
            if driver is not mine:  # another thread was faster
                self._closed(mine)
        return driver

    def close(self) -> None:
        """Closes the driver of this process only: a parent's connections are not the child's to close."""
        driver = self._drivers.pop(os.getpid(), None)
        if driver is not None:
            self._closed(driver)
