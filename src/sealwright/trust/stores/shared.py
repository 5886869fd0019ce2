"""SharedReplayStore: a ReplayStore over Batches, with batches, thread and connection of its own in each process."""

from __future__ import annotations

import os
from collections.abc import Callable

from sealwright.errors import ConfigurationError
from sealwright.trust.replay import StoreFigures, whole_milliseconds
from sealwright.trust.stores.batches import Batches, Claim, Sender, undecided

TIMEOUT_S = 0.25


class SharedReplayStore:
    """What Redis and databases have in common. No I/O before the first use."""

    def __init__(self, kind: str, open_sender: Callable[[], Sender], timeout_s: float) -> None:
        self._kind, self._open, self._timeout_s = kind, open_sender, timeout_s
        # What came with a fork stays where it is: closing it hurts the parent.
        self._by_process: dict[int, Batches] = {}
        self._closed = False
        self._here()

    def claim(self, key: bytes, ttl_s: float) -> bool:
        claim = Claim(key, whole_milliseconds(ttl_s))
        try:
            return self._here().ask(claim)
        except ConfigurationError as error:
            raise undecided(error) from error

    async def aclaim(self, key: bytes, ttl_s: float) -> bool:
        claim = Claim(key, whole_milliseconds(ttl_s))
        try:
            return await self._here().aask(claim)
        except ConfigurationError as error:
            raise undecided(error) from error

    def check(self) -> None:
        self._here().check()

    def figures(self) -> StoreFigures:
        return StoreFigures(self._kind, self._entries(), self._here().errors, self._evicted())

    def close(self) -> None:
        self._closed = True
        self._here().close()

    def _entries(self) -> int | None:
        return None

    def _evicted(self) -> int:
        return 0

    def _here(self) -> Batches:
        mine = self._by_process.get(os.getpid())
        if mine is None:
            made = Batches(self._open, timeout_s=self._timeout_s, name=f"sealwright-replay-{self._kind}")
            mine = self._by_process.setdefault(os.getpid(), made)
            if self._closed:
                mine.close()
        return mine
