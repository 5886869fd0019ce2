"""Figures: the metrics of this worker and, over sockets in a folder of their own, those of all others."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from sealwright.telemetry.exposition import MEDIA_TYPE, merged, unanswered
from sealwright.wiring.observing import Observing

ANSWER_WITHIN_S = 1.0
_END = b"# EOF\n"


class Place(NamedTuple):
    """Which of several workers this is, and the folder in which each of them has a socket for the others."""

    number: int
    workers: int
    folder: Path

    def socket(self, number: int | None = None) -> Path:
        return self.folder / str(self.number if number is None else number)


class Figures:
    """``place`` None is a process alone, whose series have no label of a worker."""

    def __init__(self, observing: Observing, place: Place | None) -> None:
        self._observing, self._place = observing, place

    async def page(self) -> tuple[bytes, str]:
        """The body of a scrape, whichever worker it came to, and its media type."""
        place = self._place
        if place is None:
            return await run_in_threadpool(self._own), MEDIA_TYPE
        others = [place.socket(number) for number in range(place.workers) if number != place.number]
        told = await asyncio.gather(*map(_ask, others))
        pages = [await run_in_threadpool(self._own), *(one for one in told if one is not None)]
        return await run_in_threadpool(merged, [*pages, unanswered(told.count(None))]), MEDIA_TYPE

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """While it lasts, other workers that ask are told the figures of this one."""
        if self._place is None:
            yield
            return
        path = self._place.socket()
        path.unlink(missing_ok=True)  # of the worker in whose place this one is
        try:
            async with await asyncio.start_unix_server(self._tell, path):
                yield
        finally:
            path.unlink(missing_ok=True)
            if is_orphan():  # then nobody else removes it; it fails while another worker is there
                with suppress(OSError):
                    self._place.folder.rmdir()

    async def _tell(self, _: asyncio.StreamReader, caller: asyncio.StreamWriter) -> None:
        caller.write(await run_in_threadpool(self._own) + _END)
        caller.close()

    def _own(self) -> bytes:
        labels = {} if self._place is None else {"worker": str(self._place.number)}
        return self._observing.metrics.exposition(**labels)[0]


def is_orphan() -> bool:
    """Whether the parent of this worker was killed."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


async def _ask(path: Path) -> bytes | None:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            told, caller = await asyncio.open_unix_connection(path)
            try:
                answer = await told.read()
                return answer.removesuffix(_END) if answer.endswith(_END) else None  # it died while it spoke
            finally:
                caller.close()
    except (OSError, TimeoutError):
        return None
