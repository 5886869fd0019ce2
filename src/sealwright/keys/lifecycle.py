"""KeyLifecycle: create, publish, activate, rotate, retire, revoke, destroy; guarded, audited, safe to kill.

Every method that changes something takes who asks (``actor``) and why (``reason``) for the audit. A guard that
refuses raises RefusedError with its own reason; ``force`` overrides it and is audited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, RefusedError
from sealwright.events import Observer
from sealwright.keys import guards
from sealwright.keys.backend import KeyBackend
from sealwright.keys.catalog import KeyCatalog, Replace
from sealwright.keys.emergency import Emergency, find
from sealwright.keys.issuer_keys import LineageKeys
from sealwright.keys.journal import Journal
from sealwright.keys.opening import Opening
from sealwright.keys.policy import FixedPolicies, Policies
from sealwright.keys.record import KeyRecord, Purpose, Rotation
from sealwright.keys.recovery import Recovery
from sealwright.keys.standbys import Standbys, turn_of
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings
from sealwright.keys.upkeep import Upkeep


class KeyLifecycle:
    """The life of all keys of one catalog.

    Routine moves of one issuer take turns among all processes; emergencies take none. The catalog's
    compare-and-set guards both.
    """

    def __init__(
        self,
        catalog: KeyCatalog,
        backends: Mapping[str, KeyBackend],
        *,
        policies: Policies | None = None,
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
        issuer_url: Callable[[str], str] = str,
    ) -> None:
        self._catalog = catalog
        self._policies = policies or FixedPolicies()
        self._clock = clock
        self._journal = Journal(catalog, backends, self._policies, clock, observer)
        self._standbys = Standbys(self._journal)
        self._opening = Opening(self._journal)
        self._emergency = Emergency(self._journal, self._standbys, issuer_url)
        self.upkeep = Upkeep(self._journal, self._standbys)
        self._recovery = Recovery(self._journal, self._standbys, self._opening, self.upkeep)

    def records(self, issuer: str | None = None) -> list[KeyRecord]:
        return self._catalog.records(issuer)

    def find(self, key_id: str) -> KeyRecord:
        """Raises RefusedError ``move.unknown_key``."""
        return find(self._catalog.records(), key_id)

    def active(self, issuer: str, purpose: Purpose = "token", algorithm: str | None = None) -> KeyRecord:
        """Raises RefusedError ``move.unknown_issuer`` or ``guard.no_active_key``."""
        return self._journal.issuer(issuer, purpose).lineage(algorithm).active()

    def algorithms(self, issuer: str) -> list[str]:
        """What an issuer signs with: one, or two during a roll-out. Raises RefusedError ``move.unknown_issuer``."""
        return self._journal.issuer(issuer).algorithms

    def open_issuer(
        self,
        issuer: str,
        *,
        actor: str,
        reason: str,
        algorithm: str | None = None,
        backend: str | None = None,
        purpose: Purpose = "token",
    ) -> None:
        """The first use of an issuer: an active and a standby key, published in one transaction.

        Safe to repeat after a crash. Raises RefusedError ``guard.issuer_exists``.
        """
        policy = self._policies.of(issuer)
        lineage = (issuer, purpose, algorithm or policy.algorithm)
        self._opening.open(lineage, backend or policy.backend, actor, reason)

    def create(self, issuer: str, *, actor: str, reason: str, algorithm: str | None = None) -> KeyRecord:
        """A pending key of an open issuer, made at its backend and not published."""
        with self._turn(issuer):
            keys = self._journal.issuer(issuer)
            if algorithm not in (None, *keys.algorithms):
                raise RefusedError(Reason.MOVE_ILLEGAL, f"this issuer signs with {' and '.join(keys.algorithms)}")
            active = keys.lineage(algorithm).active()
            backend = self._policies.of(issuer).backend
            record = self._journal.new(issuer, active.purpose, active.algorithm, backend)
            self._journal.insert([record], actor, reason)
            made = self._journal.made(record).changed()
            self._journal.write("key.created", [Replace(made)], actor, reason)
            return made

    def publish(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """pending to standby. Guards: one standby at a time, and a cap on published keys."""
        with self._turn_of(key_id):
            record = self.find(key_id)
            return self._standbys.publish(record, self._lineage(record), actor, reason)

    def activate(self, key_id: str, *, actor: str, reason: str, force: bool = False) -> KeyRecord:
        """standby to active; the former active key becomes verify_only in the same transaction."""
        with self._turn_of(key_id):
            record = self.find(key_id)
            return self._activate(record, self._lineage(record), actor, reason, force).active

    def rotate(
        self,
        issuer: str,
        *,
        actor: str,
        reason: str,
        force: bool = False,
        key_id: str | None = None,
        algorithm: str | None = None,
        purpose: Purpose = "token",
    ) -> Rotation:
        """Activate the standby, then make and publish a new one.

        Callers that all name the active key with ``key_id`` rotate it once: RefusedError ``catalog.conflict``
        for the others.
        """
        with self._turn(issuer):
            keys = self._journal.issuer(issuer, purpose).lineage(algorithm or self._algorithm_of(key_id))
            if key_id not in (None, keys.active().key_id):
                raise RefusedError(Reason.CATALOG_CONFLICT, "that key is not the active one any more: look again")
            keys.check_room(self._policies.of(issuer).timings)
            done = self._activate(keys.standby(), keys, actor, reason, force)
            standby = self._standbys.ensure(done.active.lineage, actor, reason)
            return Rotation(done.active, done.previous, standby)

    def emergency_rotate(
        self, issuer: str, *, actor: str, reason: str, key_id: str | None = None, algorithm: str | None = None
    ) -> Rotation:
        """For a key that leaked: one transaction activates the standby and revokes the active key."""
        return self._emergency.rotate(issuer, actor=actor, reason=reason, key_id=key_id, algorithm=algorithm)

    def retire(self, key_id: str, *, actor: str, reason: str, force: bool = False) -> KeyRecord:
        """Stop publishing a key; also withdraws a pending or standby key that never signed."""
        with self._turn_of(key_id):
            record, now = self.find(key_id), self._clock.now()
            timings = self._timings(record)
            guards.check_not_active(record, "rotate first")
            guards.check_no_hold(record)
            forced = guards.overridden(lambda: guards.check_verify_window(record, timings, now), force, reason)
            retired = record.moved(KeyState.RETIRED, retired_at=now)
            self._journal.write("key.moved", [Replace(retired)], actor, reason, forced=forced)
        self._journal.switch(retired, on=False)
        return retired

    def restore(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """Undo a retirement, for another verify window at least."""
        with self._turn_of(key_id):
            record, now = self.find(key_id), self._clock.now()
            guards.check_restorable(record, self._timings(record), now)
            restored = record.moved(KeyState.VERIFY_ONLY, retired_at=None, verify_only_at=now)
            self._lineage(record).check_room(self._timings(record))
            self._journal.write("key.moved", [Replace(restored)], actor, reason)
        self._journal.switch(restored, on=True)
        return restored

    def revoke(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """Refuse a key for ever; its private half is destroyed. The active one needs ``emergency_rotate``."""
        self._emergency.revoke(key_id, actor=actor, reason=reason)
        return self.find(key_id)

    def hold(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """Keep a key from being retired or destroyed, whatever the time says."""
        guards.check_reason(reason)
        return self._held(key_id, reason, "key.held", actor, reason)

    def release(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """End a hold."""
        return self._held(key_id, None, "key.released", actor, reason)

    def destroy(self, key_id: str, *, actor: str, reason: str, force: bool = False) -> KeyRecord:
        """Delete the private half of a retired key."""
        with self._turn_of(key_id):
            record, now = self.find(key_id), self._clock.now()
            timings = self._timings(record)
            destroyed = record.moved(KeyState.DESTROYED)
            guards.check_no_hold(record)
            forced = guards.overridden(lambda: guards.check_destroyable(record, timings, now), force, reason)
            self._journal.write("key.moved", [Replace(destroyed)], actor, reason, forced=forced)
            return self._journal.destroy_material(destroyed, actor, reason)

    def recover(self, *, actor: str) -> list[str]:
        """Finish what a crash left, at every start. Says what it did, a line for each step."""
        return self._recovery.run(actor)

    def _activate(self, standby: KeyRecord, keys: LineageKeys, actor: str, reason: str, force: bool) -> Rotation:
        now, timings = self._clock.now(), self._timings(standby)
        active = standby.moved(KeyState.ACTIVE, activated_at=now)
        previous = keys.active().moved(KeyState.VERIFY_ONLY, verify_only_at=now)
        forced = guards.overridden(lambda: guards.check_dwell(standby, keys.all, timings, now), force, reason)
        self._journal.write("key.rotated", [Replace(previous), Replace(active)], actor, reason, forced=forced)
        return Rotation(active, previous, None)

    def _held(self, key_id: str, hold: str | None, action: str, actor: str, reason: str) -> KeyRecord:
        with self._turn_of(key_id):
            held = self.find(key_id).changed(hold=hold)
            self._journal.write(action, [Replace(held)], actor, reason)
            return held

    def _lineage(self, record: KeyRecord) -> LineageKeys:
        return self._journal.issuer(record.issuer, record.purpose).of(record.algorithm)

    def _algorithm_of(self, key_id: str | None) -> str | None:
        return None if key_id is None else self.find(key_id).algorithm

    def _timings(self, record: KeyRecord) -> KeyTimings:
        return self._policies.of(record.issuer).timings

    def _turn(self, issuer: str) -> AbstractContextManager[None]:
        return self._catalog.turn(turn_of(issuer))

    def _turn_of(self, key_id: str) -> AbstractContextManager[None]:
        return self._turn(self.find(key_id).issuer)
