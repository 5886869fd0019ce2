"""Leaving: how a key stops being published, what can hold that up or undo it, and its end."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sealwright.keys import guards
from sealwright.keys.approvals import Approvals, Asked
from sealwright.keys.catalog import Replace
from sealwright.keys.emergency import find
from sealwright.keys.issuer_keys import LineageKeys
from sealwright.keys.journal import Journal
from sealwright.keys.live_fleet import LiveFleet
from sealwright.keys.record import KeyRecord
from sealwright.keys.standbys import turn_of
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings


class Leaving:
    """The part of KeyLifecycle that deals with keys which no longer sign."""

    def __init__(self, journal: Journal, approvals: Approvals, fleet: LiveFleet) -> None:
        self.approvals = approvals
        self.fleet = fleet
        self._journal = journal

    def find(self, key_id: str) -> KeyRecord:
        """Raises RefusedError ``move.unknown_key``."""
        return find(self._journal.catalog.records(), key_id)

    def retire(
        self, key_id: str, *, actor: str, reason: str, force: bool = False, approval: str | None = None
    ) -> KeyRecord:
        """Stop publishing a key; also withdraws a pending or standby key that never signed."""
        with self._turn_of(key_id):
            record, now = self.find(key_id), self._journal.clock.now()
            timings = self._timings(record)
            guards.check_not_active(record, "rotate first")
            guards.check_no_hold(record)
            forced = guards.overridden(
                (
                    lambda: guards.check_verify_window(record, timings, now),
                    lambda: self.fleet.check_not_accepted(record, timings),
                ),
                force,
                reason,
            )
            retired = record.moved(KeyState.RETIRED, retired_at=now)
            used = self.approvals.use(Asked(record.issuer, "retire", key_id, actor, reason, force), forced, approval)
            self._journal.write("key.moved", [Replace(retired)], actor, reason, **used.written)
        self._journal.switch(retired, on=False)
        return retired

    def restore(self, key_id: str, *, actor: str, reason: str, approval: str | None = None) -> KeyRecord:
        """Undo a retirement, for another verify window at least."""
        with self._turn_of(key_id):
            record, now = self.find(key_id), self._journal.clock.now()
            guards.check_restorable(record, self._timings(record), now)
            restored = record.moved(KeyState.VERIFY_ONLY, retired_at=None, verify_only_at=now)
            self._lineage(record).check_room(self._timings(record))
            used = self.approvals.use(Asked(record.issuer, "restore", key_id, actor, reason), (), approval)
            self._journal.write("key.moved", [Replace(restored)], actor, reason, **used.written)
        self._journal.switch(restored, on=True)
        return restored

    def hold(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """Keep a key from being retired or destroyed, whatever the time says."""
        guards.check_reason(reason)
        return self._held(key_id, reason, "key.held", actor, reason)

    def release(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """End a hold."""
        return self._held(key_id, None, "key.released", actor, reason)

    def destroy(
        self, key_id: str, *, actor: str, reason: str, force: bool = False, approval: str | None = None
    ) -> KeyRecord:
        """Delete the private half of a retired key."""
        with self._turn_of(key_id):
            record, now = self.find(key_id), self._journal.clock.now()
            timings = self._timings(record)
            destroyed = record.moved(KeyState.DESTROYED)
            guards.check_no_hold(record)
            forced = guards.overridden([lambda: guards.check_destroyable(record, timings, now)], force, reason)
            used = self.approvals.use(Asked(record.issuer, "destroy", key_id, actor, reason, force), forced, approval)
            self._journal.write("key.moved", [Replace(destroyed)], actor, reason, **used.written)
            return self._journal.destroy_material(destroyed, actor, reason)

    def _held(self, key_id: str, hold: str | None, action: str, actor: str, reason: str) -> KeyRecord:
        with self._turn_of(key_id):
            held = self.find(key_id).changed(hold=hold)
            self._journal.write(action, [Replace(held)], actor, reason)
            return held

    def _lineage(self, record: KeyRecord) -> LineageKeys:
        return self._journal.issuer(record.issuer, record.purpose).of(record.algorithm)

    def _timings(self, record: KeyRecord) -> KeyTimings:
        return self._journal.policies.of(record.issuer).timings

    def _turn(self, issuer: str) -> AbstractContextManager[None]:
        return self._journal.catalog.turn(turn_of(issuer))

    def _turn_of(self, key_id: str) -> AbstractContextManager[None]:
        return self._turn(self.find(key_id).issuer)
