"""The operator's credential: short-lived like any token, rewritten by the running service at half its life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from starlette.concurrency import run_in_threadpool

from sealwright.errors import SealwrightError
from sealwright.services.credentials import OPERATOR_SCOPES
from sealwright.services.key_service.operations import KeyOperations

LOOK_EVERY_S = 0.5


class OperatorCredential:
    """Keeps one file current; ``write`` stores the text."""

    def __init__(self, operations: KeyOperations, write: Callable[[str], None]) -> None:
        self._operations = operations
        self._write = write
        self._half_life_s = 0.0
        self._key_id: str | None = None

    def renew(self) -> None:
        """Sign a new credential and write it. Raises SealwrightError."""
        issued = self._operations.issue_operator_credential("operator", OPERATOR_SCOPES)
        self._write(issued["token"] + "\n")
        self._key_id, self._half_life_s = issued["key_id"], issued["expires_in"] / 2

    def lifespan(self) -> Callable[[Any], AbstractAsyncContextManager[None]]:
        """Renews while the application runs: at half life, and at once when another key signs."""

        @asynccontextmanager
        async def running(_: Any) -> AsyncIterator[None]:
            task = asyncio.create_task(self._keep_current())
            yield
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        return running

    async def _keep_current(self) -> None:
        due = asyncio.get_running_loop().time() + self._half_life_s
        while True:
            await asyncio.sleep(min(LOOK_EVERY_S, self._half_life_s))
            if asyncio.get_running_loop().time() < due and await run_in_threadpool(self._signed_by_active_key):
                continue
            # A store that is down comes back: the old credential is good for another half life.
            with suppress(SealwrightError):
                await run_in_threadpool(self.renew)
                due = asyncio.get_running_loop().time() + self._half_life_s

    def _signed_by_active_key(self) -> bool:
        try:
            return self._key_id in self._operations.active_key_ids_of_operators()
        except SealwrightError:
            return True
