"""Live: the application of one worker. Requests go to the side that is in force, and a reload puts another there."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sealwright.clock import SYSTEM_CLOCK
from sealwright.config.verifier_tables import VerifierFile
from sealwright.errors import Reason, RejectedError, SealwrightError
from sealwright.events import ConfigReloaded, tell
from sealwright.services.verifier_service.application import build_app
from sealwright.services.verifier_service.figures import Figures, Place, is_orphan
from sealwright.services.verifier_service.health import decidable
from sealwright.services.verifier_service.watch import Watched, read_once
from sealwright.settings import VerifierSettings
from sealwright.trust.replay import ReplayStore
from sealwright.wiring.observing import build_worker_observing
from sealwright.wiring.verifying import VerifyingSide, build_verifying, read_settings

LOOK_EVERY_S = 1.0
READY_WITHIN_S = 10.0  # then what the file says is in force, ready or not
TRY_AGAIN_S = 15.0  # a file that is right, and names what is not there yet
ANSWERED_WITHIN_S = 30.0  # what a request that is still under way then finds closed is undecided
_PAUSE_S = 0.1
_LOOKS = 50  # at a file that is being written; then it counts as it is
_FIXED = ("host", "port", "tcp", "socket", "socket_mode", "workers", "drain")


class Serving:
    """One side, the application over it, and how many requests it has not answered yet."""

    __slots__ = ("app", "file", "requests", "side")

    def __init__(self, file: VerifierFile, side: VerifyingSide, app: ASGIApp) -> None:
        self.file, self.side, self.app, self.requests = file, side, app, 0


class Live:
    """Making one raises ConfigurationError ``settings.*``; it runs between the two messages of a lifespan."""

    def __init__(self, settings: VerifierSettings, place: Place | None = None) -> None:
        self._settings = settings
        self._watched, self._asked, self._reloading = Watched(), asyncio.Event(), asyncio.Lock()
        self._tasks, self._again_at = set[asyncio.Task[None]](), math.inf
        if settings.config is not None:
            self._watched.follow([settings.config])
        file, folder = read_settings(settings)
        self._issuers = set(file.issuers)
        number = None if place is None else place.number
        self.observing = build_worker_observing(
            self._issuers, logs=sys.stderr, accepted=file.service.log_accepted, worker=number
        )
        self.figures, self.is_draining, self.drain_s = Figures(self.observing, place), False, file.service.drain
        self._now = self._build(file, folder)
        self._watched.follow(read_once(settings.config, file, folder))
        self.observing.watch_cache(lambda: self._now.side.verifier.cached)
        self.observing.metrics.watch_replay_stores(lambda: [store.figures() for store in self._stores()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        now = self._now
        now.requests += 1
        try:
            await now.app(scope, receive, _closing(send) if self.is_draining else send)
        finally:
            now.requests -= 1

    def refuse_malformed(self) -> None:
        """Counts a request that was none."""
        self._now.side.verifier.refuse(RejectedError(Reason.REQUEST_MALFORMED, "the request is not HTTP"))

    async def reload(self) -> None:
        """Read the file again. What is wrong with it is logged and changes nothing; what is right is in force after."""
        async with self._reloading:
            tell(self.observing.observer, await self._reloaded(SYSTEM_CLOCK.monotonic()))

    async def _reloaded(self, began: float) -> ConfigReloaded:
        try:
            cannot_decide, needs_restart = await self._replace()
        except SealwrightError as error:
            return ConfigReloaded("refused", SYSTEM_CLOCK.monotonic() - began, str(error))
        except Exception as error:  # noqa: BLE001 - a bug must not end the look-out for changes
            return ConfigReloaded("refused", SYSTEM_CLOCK.monotonic() - began, f"a fault: {type(error).__name__}")
        return ConfigReloaded("done", SYSTEM_CLOCK.monotonic() - began, None, needs_restart, cannot_decide)

    async def _replace(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        old, self._again_at = self._now, math.inf
        await self._at_rest()
        file, folder = await run_in_threadpool(read_settings, self._settings)
        self._watched.follow(read_once(self._settings.config, file, folder))
        self._issuers.update(file.issuers)
        self._again_at = SYSTEM_CLOCK.monotonic() + TRY_AGAIN_S
        new = await run_in_threadpool(self._build, file, folder, old.side)
        self._again_at = math.inf
        new.side.start()
        cannot_decide = await _until_ready(new.side)
        self._now = new
        if self.observing.logs is not None:
            self.observing.logs.accepted = file.service.log_accepted
        self._start(self._retire(old, new))
        return cannot_decide, _needs_restart(old.file, file)

    async def _at_rest(self) -> None:
        """A signal may come while somebody writes, and half of a file may be right."""
        await run_in_threadpool(self._watched.note)
        for _ in range(_LOOKS):
            await asyncio.sleep(_PAUSE_S)
            if await run_in_threadpool(self._watched.is_still):
                return

    def _build(self, file: VerifierFile, folder: Path, predecessor: VerifyingSide | None = None) -> Serving:
        side = build_verifying(file, folder, self.observing.observer, predecessor=predecessor)
        return Serving(file, side, build_app(side, self, file.edge))

    async def _retire(self, old: Serving, new: Serving) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                while old.requests:
                    await asyncio.sleep(_PAUSE_S)
        await run_in_threadpool(old.side.close, new.side)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._now.side.start()
        async with self.figures.told(), self._looking_out():
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.is_draining = True
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await run_in_threadpool(self._now.side.close)
        await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _looking_out(self) -> AsyncIterator[None]:
        with _told_by_signal(self._asked):
            task = asyncio.create_task(self._look_out())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _look_out(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), LOOK_EVERY_S)
            if is_orphan():  # another may start in our place
                os.kill(os.getpid(), signal.SIGTERM)
            is_asked = self._asked.is_set() or SYSTEM_CLOCK.monotonic() >= self._again_at
            if is_asked or await run_in_threadpool(self._watched.has_changed):
                self._asked.clear()
                await self.reload()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself holds no task
        task.add_done_callback(self._tasks.discard)

    def _stores(self) -> Iterator[ReplayStore]:
        if self._now.side.store is not None:
            yield self._now.side.store


@contextmanager
def _told_by_signal(asked: asyncio.Event) -> Iterator[None]:
    """SIGHUP waited until here: it is blocked from the start of the process on, and would end it."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        loop.remove_signal_handler(signal.SIGHUP)


async def _until_ready(side: VerifyingSide) -> tuple[str, ...]:
    """The required issuers over whose tokens nothing can be decided even so."""
    end = SYSTEM_CLOCK.monotonic() + READY_WITHIN_S
    required = [name for name, one in side.issuers.items() if one.table.required]
    while True:
        states = await decidable(side)
        waiting = tuple(name for name in required if not states[name])
        if not waiting or SYSTEM_CLOCK.monotonic() >= end:
            return waiting
        await asyncio.sleep(_PAUSE_S)


def _needs_restart(old: VerifierFile, new: VerifierFile) -> tuple[str, ...]:
    """What a process cannot change while it runs. ``old`` may have been a reload too: it is told each time."""
    return tuple(f"service.{name}" for name in _FIXED if getattr(old.service, name) != getattr(new.service, name))


def _closing(send: Send) -> Send:
    """Proxies are to send what comes next to another."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return sent
