"""PollingVerifiers: who polls this process, what each was told, and which of their reports are not written yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sealwright.clock import Clock
from sealwright.errors import Reason, RejectedError, SealwrightError, UnavailableError
from sealwright.events import Observer, ScheduledStepFailed, tell
from sealwright.keys.fleet import Member, Number, merged
from sealwright.keys.fleet_store import MOST_MEMBERS
from sealwright.keys.live_fleet import LiveFleet
from sealwright.trust.refetch_budget import RefetchBudget

MOST_OF_ONE_NAME = 1_000
BURST, INTERVAL_S = 20, 0.25  # polls of one process of a verifier
QUIET_S = 60.0  # after which a process is not remembered here
WRITTEN_EVERY_S, UNCHANGED_EVERY_S = 1.0, 10.0
LONGEST_PAUSE_S = 8.0  # before the same thing is said again to one who does not heed it
T = TypeVar("T", bound=Hashable)
KEPT_NOWHERE = UnavailableError(Reason.CATALOG_UNAVAILABLE, "what verifiers report cannot be kept now")


@dataclass(slots=True)
class Poller:
    """One process of a verifier. ``told``: when each thing was said last, and how often."""

    heard_at: float
    budget: RefetchBudget = field(default_factory=lambda: RefetchBudget(BURST, INTERVAL_S))
    told: dict[Hashable, tuple[float, int]] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)  # trials about which it need not be asked again
    polls: int = 0  # the newest poll of a process counts: it has given up the one before
    unwritten: Member | None = None
    written: tuple[Any, ...] | None = None
    written_at: float = 0.0

    def due(self, items: Sequence[T], now: float) -> tuple[list[T], float]:
        """What should be said now, and in how many seconds more of it: 1, 2, 4 ... after it was said in vain."""
        self.told = {item: self.told[item] for item in items if item in self.told}
        due: list[T] = []
        soonest = LONGEST_PAUSE_S
        for item in items:
            at, times = self.told.get(item, (now, 0))
            left = at + min(2.0 ** (times - 1), LONGEST_PAUSE_S) - now if times else 0.0
            if left <= 0:
                due.append(item)
            else:
                soonest = min(soonest, left)
        return due, soonest

    def note(self, items: Iterable[Hashable], now: float) -> None:
        for item in items:
            self.told[item] = now, min(self.told.get(item, (now, 0))[1] + 1, 10)


class PollingVerifiers:
    """Bounded; one event loop uses it. ``flush`` waits for the store, so it runs in a thread."""

    def __init__(self, fleet: LiveFleet, clock: Clock, observer: Observer | None = None) -> None:
        self._fleet = fleet
        self._clock = clock
        self._observer = observer
        self._pollers: dict[Number, Poller] = {}
        self._names: Counter[str] = Counter()
        self.failure: SealwrightError | None = None

    def hear(self, member: Member) -> Poller:
        """Raises RejectedError ``request.too_many``."""
        now = self._clock.monotonic()
        poller = self._pollers.get(member.number) or self._added(member, now)
        if not poller.budget.reserve(now):
            raise RejectedError(Reason.REQUEST_TOO_MANY, "this process of the verifier polls too often")
        poller.heard_at = now
        poller.polls += 1
        poller.unwritten = merged(poller.unwritten, member)
        return poller

    def take(self) -> list[Member]:
        """The reports that should be written now; who was quiet for a minute is dropped."""
        now = self._clock.monotonic()
        for number, poller in list(self._pollers.items()):
            if now - poller.heard_at > QUIET_S and poller.unwritten is None:
                del self._pollers[number]
                self._names[number[0]] -= 1
        self._names += Counter()  # drops zeros
        return [one for poller in self._pollers.values() if (one := _taken(poller, now)) is not None]

    def flush(self, members: list[Member]) -> None:
        """Write them. What cannot be written is kept, and polls are refused until it can: see ``failure``."""
        self.failure = None if self._put(members) else KEPT_NOWHERE

    def _put(self, members: list[Member]) -> bool:
        try:
            self._fleet.put(members)
        except Exception as error:  # noqa: BLE001 they are written again later, whatever this was
            reason = error.reason if isinstance(error, SealwrightError) else Reason.SERVICE_FAULT
            tell(self._observer, ScheduledStepFailed("fleet_reports", "", None, reason))
            return False
        return True

    def put_back(self, members: list[Member]) -> None:
        """What could not be written is written with what comes next."""
        for one in members:
            poller = self._pollers.get(one.number)
            if poller is not None:
                poller.unwritten = one if poller.unwritten is None else merged(one, poller.unwritten)
                poller.written = None

    def _added(self, member: Member, now: float) -> Poller:
        if self._names[member.name] >= MOST_OF_ONE_NAME or len(self._pollers) >= MOST_MEMBERS:
            raise RejectedError(Reason.REQUEST_TOO_MANY, "too many processes of verifiers poll here")
        self._names[member.name] += 1
        poller = self._pollers[member.number] = Poller(now)
        return poller


def _taken(poller: Poller, now: float) -> Member | None:
    member = poller.unwritten
    if member is None or (poller.written is not None and now - poller.written_at < WRITTEN_EVERY_S):
        return None
    content = _content(member)
    if content == poller.written and now - poller.written_at < UNCHANGED_EVERY_S:
        return None
    poller.unwritten, poller.written, poller.written_at = None, content, now
    return member


def _content(member: Member) -> tuple[Any, ...]:
    """What is worth writing at once, when it changes."""
    issuers: Mapping[str, Any] = {name: (one.sequence, frozenset(one.keys)) for name, one in member.issuers.items()}
    return issuers, {key: (one.outcome, one.reason) for key, one in member.tried.items()}
