"""KeyLifecycle: create, publish, activate, rotate, retire, revoke, destroy; guarded, audited, safe to kill.

Every method that changes something takes who asks (``actor``) and why (``reason``) for the audit. A guard that
refuses raises RefusedError with its own reason; ``force`` overrides it and is audited.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import BackendError, Reason, RefusedError, UnavailableError
from sealwright.events import Observer
from sealwright.keys import guards
from sealwright.keys.backend import KeyBackend
from sealwright.keys.catalog import KeyCatalog, Replace
from sealwright.keys.issuer_keys import IssuerKeys
from sealwright.keys.journal import Journal
from sealwright.keys.record import KeyRecord, Purpose, Rotation
from sealwright.keys.standbys import Standbys
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings


class KeyLifecycle:
    """The life of all keys of one catalog. Calls of one process take turns; the catalog's fence guards the rest."""

    def __init__(
        self,
        catalog: KeyCatalog,
        backends: Mapping[str, KeyBackend],
        *,
        timings: KeyTimings | None = None,
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
    ) -> None:
        self._catalog = catalog
        self._timings = timings or KeyTimings()
        self._clock = clock
        self._journal = Journal(catalog, backends, clock, observer)
        self._standbys = Standbys(self._journal, self._timings, clock)
        self._turn = threading.RLock()

    def records(self, issuer: str | None = None) -> list[KeyRecord]:
        return self._catalog.records(issuer)

    def find(self, key_id: str) -> KeyRecord:
        """Raises RefusedError ``move.unknown_key``."""
        found = [record for record in self._catalog.records() if record.key_id == key_id]
        if not found:
            raise RefusedError(Reason.MOVE_UNKNOWN_KEY, "there is no key with this kid")
        return found[0]

    def active(self, issuer: str, purpose: Purpose = "token") -> KeyRecord:
        """Raises RefusedError ``move.unknown_issuer`` or ``guard.no_active_key``."""
        return self._issuer(issuer, purpose).active()

    def open_issuer(
        self,
        issuer: str,
        *,
        algorithm: str,
        actor: str,
        reason: str,
        backend: str = "local",
        purpose: Purpose = "token",
    ) -> None:
        """The first use of an issuer: an active and a standby key, published in one transaction.

        Safe to repeat after a crash. Raises RefusedError ``guard.issuer_exists``.
        """
        with self._turn:
            keys = IssuerKeys(self._catalog.records(issuer), issuer, purpose)
            if keys.opened:
                raise RefusedError(Reason.GUARD_ISSUER_EXISTS, "the issuer is open already")
            pending = keys.pending
            fresh = [self._journal.new(issuer, purpose, algorithm, backend) for _ in range(2 - len(pending))]
            if fresh:
                self._journal.insert(fresh, actor, reason)
            now = self._clock.now()
            first, second = (
                self._journal.made(record).moved(KeyState.STANDBY, published_at=now) for record in (pending + fresh)[:2]
            )
            changes = [Replace(first.moved_again(KeyState.ACTIVE, activated_at=now)), Replace(second)]
            self._journal.write("issuer.opened", changes, actor, reason)

    def create(self, issuer: str, *, actor: str, reason: str, algorithm: str | None = None) -> KeyRecord:
        """A pending key of an open issuer, made at its backend and not published."""
        with self._turn:
            active = self._issuer(issuer).active()
            if algorithm not in (None, active.algorithm):
                raise RefusedError(Reason.MOVE_ILLEGAL, f"this issuer signs with {active.algorithm}")
            record = self._journal.new(issuer, active.purpose, active.algorithm, active.backend)
            self._journal.insert([record], actor, reason)
            made = self._journal.made(record).changed()
            self._journal.write("key.created", [Replace(made)], actor, reason)
            return made

    def publish(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """pending to standby. Guards: one standby at a time, and a cap on published keys."""
        with self._turn:
            record = self.find(key_id)
            return self._standbys.publish(record, self._issuer(record.issuer, record.purpose), actor, reason)

    def activate(self, key_id: str, *, actor: str, reason: str, force: bool = False) -> KeyRecord:
        """standby to active; the former active key becomes verify_only in the same transaction."""
        with self._turn:
            record = self.find(key_id)
            keys = self._issuer(record.issuer, record.purpose)
            return self._activate(record, keys, actor, reason, force).active

    def rotate(self, issuer: str, *, actor: str, reason: str, force: bool = False) -> Rotation:
        """Activate the standby, then make and publish a new one."""
        with self._turn:
            keys = self._issuer(issuer)
            keys.check_room(self._timings)
            rotation = self._activate(keys.standby(), keys, actor, reason, force)
            return self._with_standby(rotation, actor, reason)

    def emergency_rotate(self, issuer: str, *, actor: str, reason: str, key_id: str | None = None) -> Rotation:
        """For a key that leaked: one transaction activates the standby and revokes the active key.

        Skips dwell; makes a standby on the spot if there is none. ``key_id`` must be the active key's, if given.
        """
        guards.check_reason(reason)
        with self._turn:
            keys = self._issuer(issuer)
            leaked = keys.active()
            if key_id not in (None, leaked.key_id):
                raise RefusedError(Reason.MOVE_ILLEGAL, "that key is not the active one: revoke it instead")
            standby = keys.find_standby() or self._standbys.make(keys, actor, reason, emergency=True)
            now = self._clock.now()
            active = standby.moved(KeyState.ACTIVE, activated_at=now)
            revoked = leaked.moved(KeyState.REVOKED, revoked_at=now, revoked_reason=reason)
            self._journal.write("key.emergency_rotated", [Replace(revoked), Replace(active)], actor, reason)
            self._destroy_soon(revoked, actor, reason)
            return self._with_standby(Rotation(active, revoked, None), actor, reason)

    def retire(self, key_id: str, *, actor: str, reason: str, force: bool = False) -> KeyRecord:
        """Stop publishing a key; also withdraws a pending or standby key that never signed."""
        with self._turn:
            record, now = self.find(key_id), self._clock.now()
            guards.check_not_active(record, "rotate first")
            forced = guards.overridden(lambda: guards.check_verify_window(record, self._timings, now), force, reason)
            retired = record.moved(KeyState.RETIRED, retired_at=now)
            self._journal.write("key.moved", [Replace(retired)], actor, reason, forced)
            return retired

    def restore(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """Undo a retirement."""
        with self._turn:
            record, now = self.find(key_id), self._clock.now()
            guards.check_restorable(record, self._timings, now)
            restored = record.moved(KeyState.VERIFY_ONLY, retired_at=None)
            self._issuer(record.issuer, record.purpose).check_room(self._timings)
            self._journal.write("key.moved", [Replace(restored)], actor, reason)
            return restored

    def revoke(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """Refuse a key for ever; its private half is destroyed. The active one needs ``emergency_rotate``."""
        guards.check_reason(reason)
        with self._turn:
            record = self.find(key_id)
            guards.check_not_active(record, "emergency-rotate")
            revoked = record.moved(KeyState.REVOKED, revoked_at=self._clock.now(), revoked_reason=reason)
            self._journal.write("key.revoked", [Replace(revoked)], actor, reason)
            self._destroy_soon(revoked, actor, reason)
            if record.state is KeyState.STANDBY:
                self._standbys.ensure(record.issuer, record.purpose, actor, reason)
            return self.find(key_id)

    def destroy(self, key_id: str, *, actor: str, reason: str, force: bool = False) -> KeyRecord:
        """Delete the private half of a retired key."""
        with self._turn:
            record = self.find(key_id)
            destroyed = record.moved(KeyState.DESTROYED)
            now = self._clock.now()
            forced = guards.overridden(lambda: guards.check_destroyable(record, self._timings, now), force, reason)
            self._journal.write("key.moved", [Replace(destroyed)], actor, reason, forced)
            return self._journal.destroy_material(destroyed, actor, reason)

    def recover(self, *, actor: str) -> list[str]:
        """Finish what a crash left, at every start. Says what it did, a line for each step."""
        reason = "recovery at start"
        done: list[str] = []
        with self._turn:
            for issuer, purpose in sorted({(record.issuer, record.purpose) for record in self._catalog.records()}):
                done += self._recover_issuer(issuer, purpose, actor, reason)
            for record in self._catalog.records():
                if record.state in (KeyState.REVOKED, KeyState.DESTROYED) and record.destroyed_at is None:
                    self._journal.destroy_material(record, actor, reason)
                    done.append(f"destroyed the private half of {record.key_id}")
        return done

    def _recover_issuer(self, issuer: str, purpose: Purpose, actor: str, reason: str) -> list[str]:
        keys = IssuerKeys(self._catalog.records(issuer), issuer, purpose)
        if not keys.opened:
            first = keys.pending[0]
            self.open_issuer(
                issuer, algorithm=first.algorithm, actor=actor, reason=reason, backend=first.backend, purpose=purpose
            )
            return [f"opened issuer {issuer}"]
        made = keys.find_standby() is None and self._standbys.ensure(issuer, purpose, actor, reason) is not None
        surplus = self._issuer(issuer, purpose).pending
        for record in surplus:
            withdrawn = record.moved(KeyState.RETIRED, retired_at=self._clock.now())
            self._journal.write("key.moved", [Replace(withdrawn)], actor, reason)
            self._journal.destroy_material(withdrawn, actor, reason)  # the backend may have made it before the crash
        return [f"made a standby for {issuer}"] * made + [f"withdrew a pending key of {issuer}"] * len(surplus)

    def _issuer(self, issuer: str, purpose: Purpose = "token") -> IssuerKeys:
        return IssuerKeys(self._catalog.records(issuer), issuer, purpose).check_open()

    def _activate(self, standby: KeyRecord, keys: IssuerKeys, actor: str, reason: str, force: bool) -> Rotation:
        now = self._clock.now()
        active = standby.moved(KeyState.ACTIVE, activated_at=now)
        previous = keys.active().moved(KeyState.VERIFY_ONLY, verify_only_at=now)
        forced = guards.overridden(lambda: guards.check_dwell(standby, keys.all, self._timings, now), force, reason)
        self._journal.write("key.rotated", [Replace(previous), Replace(active)], actor, reason, forced)
        return Rotation(active, previous, None)

    def _with_standby(self, rotation: Rotation, actor: str, reason: str) -> Rotation:
        active = rotation.active
        return Rotation(active, rotation.previous, self._standbys.ensure(active.issuer, active.purpose, actor, reason))

    def _destroy_soon(self, revoked: KeyRecord, actor: str, reason: str) -> None:
        """Revoked already: a backend that fails now does not undo that, and the next start tries again."""
        with suppress(BackendError, UnavailableError):
            self._journal.destroy_material(revoked, actor, reason)
