"""UnknownKeys: kids that a fetch has shown to be absent, so that they are not asked for again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict


class UnknownKeys:
    """Remembers at most ``capacity`` kids for ``memory_s`` seconds each, the oldest going first.

    Only digests are kept: a kid is a stranger's text and may be thousands of bytes long.
    """

    def __init__(self, capacity: int, memory_s: float) -> None:
        self._capacity = capacity
        self._memory_s = memory_s
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, key_id: str, now: float) -> None:
        digest = _digest(key_id)
        with self._lock:
            self._until.pop(digest, None)
            self._until[digest] = now + self._memory_s
            if len(self._until) > self._capacity:
                self._until.popitem(last=False)

    def remembers(self, key_id: str, now: float) -> bool:
        return now < self._until.get(_digest(key_id), now)

    def forget_all(self) -> None:
        with self._lock:
            self._until.clear()

    def __len__(self) -> int:
        return len(self._until)


def _digest(key_id: str) -> bytes:
    return hashlib.sha256(key_id.encode("utf-8", "surrogatepass")).digest()
