"""PollFront: holds the polls of verifiers, thousands at once, until there is something new for one of them.

Waiting costs neither a thread nor a question to the database: one watcher for each process sees that the catalog has
changed, and wakes everybody. What is new is found by comparing what a verifier reports with what is published now,
so an answer that is lost, or a replica that dies, loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from itertools import islice

from starlette.concurrency import run_in_threadpool

from sealwright.errors import Reason, SealwrightError, UnavailableError
from sealwright.keys.fleet import Member, bounded, member_of
from sealwright.keys.rehearsal import GivenTrial
from sealwright.services.key_service.event_tokens import EventTokens
from sealwright.services.key_service.polling_verifiers import Poller, PollingVerifiers
from sealwright.statements.security_events import KeysChanged
from sealwright.statements.verifier_reports import MOST_ISSUERS, MOST_TRIALS, PollAnswer, VerifierReport
from sealwright.wiring.announcing import Announcing, News
from sealwright.wiring.single_process import SingleProcess

WATCHED_EVERY_S, WRITTEN_EVERY_S = 0.1, 0.5
Item = KeysChanged | GivenTrial


class PollFront:
    """For the event loop of one process."""

    def __init__(self, process: SingleProcess) -> None:
        self._process = process
        self._announcing = Announcing(process)
        self._verifiers = PollingVerifiers(process.signing.lifecycle.fleet, process.clock, process.observing.observer)
        self._news = News()
        self._failure: SealwrightError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def answer(
        self, report: VerifierReport, only: Collection[str] | None, wait_s: float, most: int
    ) -> PollAnswer:
        """What is new for this verifier, at once or within ``wait_s``; ``only`` leaves out other issuers of ours.

        Raises UnavailableError, RejectedError ``request.too_many``, and what signing an event raises.
        """
        await self._start()
        heard_at = self._process.clock.monotonic()
        member = self._member(report, only)
        poller = self._verifiers.hear(member)
        self._note_tried(report, member, poller)
        items = await self._wait_for(report, member, poller, heard_at, wait_s)
        events = list(islice((one for one in items if isinstance(one, KeysChanged)), min(most, MOST_ISSUERS)))
        trials = list(islice((one for one in items if isinstance(one, GivenTrial)), MOST_TRIALS))
        sets = await self._sets.all(report.name, events) if events else {}
        poller.note([*events, *trials], self._process.clock.monotonic())
        return PollAnswer(sets, {one.trial_id: one.trial for one in trials})

    async def _wait_for(
        self, report: VerifierReport, member: Member, poller: Poller, heard_at: float, wait_s: float
    ) -> list[Item]:
        clock, number = self._process.clock, poller.polls
        while True:
            changed = self._changed
            self._check_up()
            items: list[Item] = [*self._events(report, member, heard_at), *self._trials(member, poller)]
            due, soonest_s = poller.due(items, clock.monotonic())
            left_s = heard_at + wait_s - clock.monotonic()
            if poller.polls != number:  # of a poll that was given up nobody reads the answer
                return []
            if due or left_s <= 0 or self._process.stopping:
                return due
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), min(left_s, soonest_s))

    def _events(self, report: VerifierReport, member: Member, heard_at: float) -> list[KeysChanged]:
        shown = ((url, one, self._news.issuers.get(url)) for url, one in report.issuers.items())
        return [
            KeysChanged(url, news.sequence)
            for url, one, news in shown
            if news is not None and news.name in member.issuers and news.is_news(one, heard_at)
        ]

    def _trials(self, member: Member, poller: Poller) -> list[GivenTrial]:
        now, given = self._process.clock.now(), self._given(member)
        return [one for one in given if one.ends_at > now and one.trial_id not in poller.tried]

    def _note_tried(self, report: VerifierReport, member: Member, poller: Poller) -> None:
        """A rehearsal is tried once; a canary until it is refused."""
        tried = report.tried
        for one in self._given(member):
            result = tried.get(one.trial_id)
            if result is not None and (one.trial.kind == "rehearsal" or result.outcome == "rejected"):
                poller.tried.add(one.trial_id)
        poller.tried &= {one.trial_id for one in self._given(member)}

    def _given(self, member: Member) -> list[GivenTrial]:
        return [one for name in member.issuers for one in self._news.trials.get(name, ())]

    def _member(self, report: VerifierReport, only: Collection[str] | None) -> Member:
        def name_of(url: str) -> str | None:
            name = self._news.name_of(url)
            return name if only is None or name in only else None

        published = {shown.name: shown.key_ids for shown in self._news.issuers.values()}
        return bounded(member_of(report, self._process.clock.now(), name_of), published)

    def _check_up(self) -> None:
        """Raises UnavailableError: a poll that cannot be answered or kept is tried again somewhere else."""
        failure = self._failure or self._verifiers.failure
        if failure is not None:
            raise type(failure)(failure.reason, failure.message)

    async def _start(self) -> None:
        """At the first poll of a loop: what is new is read, and the watcher goes on from there."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._changed = asyncio.Event()
            self._sets = EventTokens(self._announcing, self._process.clock)
            self._tasks = [loop.create_task(self._watch()), loop.create_task(self._write())]
        if self._news.version < 0:
            await self._look()
        self._check_up()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCHED_EVERY_S)
            if await self._look() or self._process.stopping:
                self._wake()

    async def _look(self) -> bool:
        """Whether something may be new."""
        failed_before = self._failure is not None
        try:
            if self._announcing.version() == self._news.version:
                self._failure = None
                return False
            self._news = await run_in_threadpool(self._announcing.read)
        except Exception as error:  # noqa: BLE001 the watcher goes on, whatever this was
            self._failure = _told(error)
            return not failed_before
        self._failure = None
        return True

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(WRITTEN_EVERY_S)
            members = self._verifiers.take()
            if members or self._verifiers.failure is not None:
                await run_in_threadpool(self._verifiers.flush, members)
            if self._verifiers.failure is not None:
                self._verifiers.put_back(members)
                self._wake()


def _told(error: Exception) -> SealwrightError:
    fault = UnavailableError(Reason.SERVICE_FAULT, "the service cannot say what is new")
    return error if isinstance(error, SealwrightError) else fault
