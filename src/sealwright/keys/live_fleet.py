"""LiveFleet: the verifiers that report to us, as guards, the scheduler and operators ask about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sealwright.clock import Clock
from sealwright.keys.fleet import Member, last_accepted_at, live
from sealwright.keys.fleet_facts import UNHEARD, FleetFacts
from sealwright.keys.fleet_store import FleetStore
from sealwright.keys.guards import check_acknowledged, check_not_accepted, is_acknowledged
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings

FORGOTTEN_AFTER_S = 86_400.0
KEPT_S = 1.0  # how old what the scheduler is told may be, which asks before each move


class LiveFleet:
    """Without a store nobody reports. ``share`` of the live verifiers must hold a key before it signs.

    A verifier that was silent for ``lost_after_s`` is lost, and counts no more. One that is live and wrong holds up a
    move for ``patience_s`` at most: no report can stop rotation for ever. Raises UnavailableError as the store.
    """

    def __init__(
        self,
        store: FleetStore | None,
        clock: Clock,
        *,
        share: float = 0.99,
        lost_after_s: float = 600.0,
        patience_s: float = 7 * 86_400.0,
    ) -> None:
        self.share = share
        self.patience_s = patience_s
        self.lost_after_s = lost_after_s
        self._store = store
        self._clock = clock
        self._kept: tuple[float, list[Member]] | None = None

    def put(self, members: Sequence[Member]) -> None:
        """What was heard of them."""
        if self._store is not None:
            self._store.put(members)

    def forget(self) -> int:
        """Drop who was lost for a day; how many were dropped."""
        return 0 if self._store is None else self._store.forget(self._clock.now() - FORGOTTEN_AFTER_S)

    def members(self) -> list[Member]:
        """All that are remembered, the lost ones too."""
        return [] if self._store is None else self._store.members()

    def live(self, issuer: str | None = None) -> list[Member]:
        """Who was heard of lately and verifies tokens of this issuer."""
        since = self.live_since()
        return live([] if self._store is None else self._store.members(since), since, issuer)

    def live_since(self) -> float:
        return self._clock.now() - self.lost_after_s

    def check_acknowledged(self, standby: KeyRecord) -> None:
        """Raises RefusedError ``guard.acknowledgement``."""
        check_acknowledged(standby, self.live(standby.issuer), self.share)

    def check_not_accepted(self, record: KeyRecord, timings: KeyTimings) -> None:
        """Raises RefusedError ``guard.still_accepted``."""
        check_not_accepted(record, self.live(record.issuer), timings, self._clock.now(), self.patience_s)

    def facts(self, records: Iterable[KeyRecord]) -> FleetFacts:
        """About the keys of these records."""
        members = self._recent()
        if not members:
            return UNHEARD
        names = {name for one in members for name in one.issuers}
        by_issuer = {name: live(members, 0.0, name) for name in names}
        known = [(record, by_issuer[record.issuer]) for record in records if record.issuer in by_issuer]
        standbys = ((one, them) for one, them in known if one.state is KeyState.STANDBY)
        lacked = frozenset(one.key_id for one, them in standbys if not is_acknowledged(one, them, self.share))
        found = {
            one.key_id: at
            for one, them in known
            if one.state is KeyState.VERIFY_ONLY and (at := last_accepted_at(them, one.issuer, one.key_id)) is not None
        }
        return FleetFacts(self._clock.now(), lacked, found, self.patience_s)

    def _recent(self) -> list[Member]:
        now, kept = self._clock.monotonic(), self._kept
        if kept is None or not 0 <= now - kept[0] < KEPT_S:
            self._kept = kept = now, self.live()
        return kept[1]
