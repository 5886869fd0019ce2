"""EventTokens: security events for many verifiers at once, signed in batches, and none twice in a minute."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from sealwright.clock import Clock
from sealwright.errors import SealwrightError
from sealwright.statements.security_events import KeysChanged
from sealwright.wiring.announcing import Announcing

AT_ONCE = 500  # in one audit entry
KEPT, KEPT_S = 20_000, 60.0
Wanted = tuple[str, KeysChanged]  # the audience and the event
Signed = tuple[str, str]  # the jti and the token


class EventTokens:
    """For one event loop. Whoever asks while a batch is being signed is in the next one."""

    def __init__(self, announcing: Announcing, clock: Clock) -> None:
        self._announcing = announcing
        self._clock = clock
        self._kept: OrderedDict[Wanted, tuple[float, Signed]] = OrderedDict()
        self._asked: dict[Wanted, asyncio.Future[Signed]] = {}
        self._task: asyncio.Task[None] | None = None

    async def all(self, audience: str, events: Sequence[KeysChanged]) -> dict[str, str]:
        """The tokens of these events by their jti. Raises what ``Announcing.sign`` raises."""
        signed = [await self._one((audience, event)) for event in events]
        return dict(signed)

    async def _one(self, wanted: Wanted) -> Signed:
        kept = self._kept.get(wanted)
        if kept is not None and self._clock.monotonic() - kept[0] < KEPT_S:
            return kept[1]
        if wanted not in self._asked:
            self._asked[wanted] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._sign_all())
        return await asyncio.shield(self._asked[wanted])

    async def _sign_all(self) -> None:
        while self._asked:
            batch = [wanted for wanted, future in self._asked.items() if not future.done()][:AT_ONCE]
            futures = {wanted: self._asked[wanted] for wanted in batch}
            try:
                signed = await run_in_threadpool(self._announcing.sign, batch)
            except Exception as error:  # noqa: BLE001 raised where the answer is waited for
                self._fail(futures, error)
            else:
                self._keep(futures, signed)
            for wanted in batch:
                del self._asked[wanted]

    def _keep(self, futures: dict[Wanted, asyncio.Future[Signed]], signed: Sequence[Signed]) -> None:
        now = self._clock.monotonic()
        for (wanted, future), one in zip(futures.items(), signed, strict=True):
            self._kept[wanted] = now, one
            self._kept.move_to_end(wanted)
            future.set_result(one)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _fail(self, futures: dict[Wanted, asyncio.Future[Signed]], error: Exception) -> None:
        """An error of its own for everybody who waits."""
        for future in futures.values():
            own = type(error)(error.reason, error.message) if isinstance(error, SealwrightError) else error
            future.set_exception(own)
            future.exception()  # whoever waited may be gone
