"""SigningFront: requests for signatures wait in the queue of their backend, and nobody else waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from sealwright.keys.signing_queue import Deadline, late
from sealwright.services.key_service.signing_operations import SigningOperations
from sealwright.wiring.single_process import SingleProcess

GRACE_S = 0.25  # so that the work itself says that it is late, if it still can
T = TypeVar("T")


class SigningFront:
    """Runs the signing operations of one process for the event loop, which is never blocked by one."""

    def __init__(self, process: SingleProcess) -> None:
        self._process = process

    async def run(
        self, issuer: str, actor: str | None, work: Callable[[SigningOperations], T], signatures: int = 1
    ) -> T:
        """What ``work`` answers. Raises UnavailableError ``signing.busy`` or ``signing.deadline``, and what it raises.

        A backend that hangs keeps its own threads; the caller is answered in time all the same.
        """
        signing = self._process.signing
        queue = signing.known_queue(issuer)
        if queue is None:
            queue = await run_in_threadpool(signing.queue, issuer)
        deadline = queue.deadline(signatures)
        operations = SigningOperations(self._process, actor or "unknown", deadline)
        future = asyncio.wrap_future(queue.submit(lambda: work(operations), deadline, signatures))
        return await _in_time(future, deadline)


async def _in_time(future: asyncio.Future[T], deadline: Deadline) -> T:
    """Not cancelled when it is late: a thread that takes it up sees the deadline, and makes room in the queue."""
    try:
        return await asyncio.wait_for(asyncio.shield(future), deadline.left_s() + GRACE_S)
    except TimeoutError:
        future.add_done_callback(_look_at)
        raise late() from None


def _look_at(future: asyncio.Future[T]) -> None:
    """An error that nobody waits for any more is no news."""
    if not future.cancelled():
        future.exception()
