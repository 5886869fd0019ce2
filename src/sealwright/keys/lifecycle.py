"""KeyLifecycle: create, publish, activate, rotate, retire, revoke, destroy; guarded, audited, safe to kill.

Every method that changes something takes who asks (``actor``) and why (``reason``) for the audit. A guard that
refuses raises RefusedError with its own reason; ``force`` overrides it and is audited. ``approval`` is the id of what
other people approved, where the issuer's policy asks for that; the move uses it up in its transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, RefusedError
from sealwright.events import Observer
from sealwright.keys import guards
from sealwright.keys.approvals import Approvals, Asked
from sealwright.keys.backend import KeyBackend
from sealwright.keys.catalog import KeyCatalog, Replace
from sealwright.keys.emergency import Emergency
from sealwright.keys.importing import As, Importing, Newcomer
from sealwright.keys.issuer_keys import LineageKeys
from sealwright.keys.journal import Journal
from sealwright.keys.leaving import Leaving
from sealwright.keys.live_fleet import LiveFleet
from sealwright.keys.opening import Opening
from sealwright.keys.policy import FixedPolicies, Policies
from sealwright.keys.record import KeyRecord, Purpose, Rotation
from sealwright.keys.recovery import Recovery
from sealwright.keys.rehearsal import Rehearsals
from sealwright.keys.rollout import Rollouts
from sealwright.keys.shares import signing_keys
from sealwright.keys.standbys import Standbys
from sealwright.keys.states import KeyState
from sealwright.keys.upkeep import Upkeep


class KeyLifecycle(Leaving):
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
        fleet: LiveFleet | None = None,
    ) -> None:
        policies = policies or FixedPolicies()
        journal = Journal(catalog, backends, policies, clock, observer)
        super().__init__(journal, Approvals(catalog, policies, clock), fleet or LiveFleet(None, clock))
        self.rehearsals = Rehearsals(journal, issuer_url)
        self._catalog = catalog
        self._policies = policies
        self._clock = clock
        self._standbys = Standbys(self._journal)
        self._opening = Opening(self._journal)
        self.rollouts = Rollouts(self._journal, self._standbys, self.fleet)
        self._emergency = Emergency(self._journal, self._standbys, self.approvals, issuer_url)
        self._importing = Importing(self._journal, self._standbys)
        self.upkeep = Upkeep(self._journal, self._standbys)
        self._recovery = Recovery(self._journal, self._standbys, self._opening, self.upkeep)

    def records(self, issuer: str | None = None) -> list[KeyRecord]:
        return self._catalog.records(issuer)

    def active(self, issuer: str, purpose: Purpose = "token", algorithm: str | None = None) -> KeyRecord:
        """The one before the roll-out, unless an algorithm says otherwise.

        Raises RefusedError ``move.unknown_issuer`` or ``guard.no_active_key``.
        """
        if algorithm is None:
            return signing_keys(self._catalog, issuer, purpose).usual.record
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

    def bring(self, issuer: str, newcomer: Newcomer, state: As, *, actor: str, reason: str) -> KeyRecord:
        """A key from outside, under its old kid: see ``Importing.bring``."""
        return self._importing.bring(issuer, newcomer, state, actor=actor, reason=reason)

    def create(self, issuer: str, *, actor: str, reason: str, algorithm: str | None = None) -> KeyRecord:
        """A pending key of an open issuer, made at its backend and not published."""
        with self._turn(issuer):
            active = self._lineage_with(issuer, algorithm).active()
            backend = self._policies.of(issuer).backend
            record = self._journal.new(issuer, active.purpose, active.algorithm, backend)
            self._journal.insert([record], actor, reason)
            made = self._journal.made(record).changed()
            self._journal.write("key.created", [Replace(made)], actor, reason)
            return made

    def add_standby(self, issuer: str, *, actor: str, reason: str, algorithm: str | None = None) -> KeyRecord:
        """The standby that an open issuer lacks, made and published. The guards of ``publish`` refuse before that."""
        with self._turn(issuer):
            keys = self._lineage_with(issuer, algorithm)
            keys.check_no_standby()
            keys.check_room(self._policies.of(issuer).timings)
            return self._standbys.make(keys, actor, reason)

    def publish(self, key_id: str, *, actor: str, reason: str) -> KeyRecord:
        """pending to standby. Guards: one standby at a time, and a cap on published keys."""
        with self._turn_of(key_id):
            record = self.find(key_id)
            return self._standbys.publish(record, self._lineage(record), actor, reason)

    def activate(
        self, key_id: str, *, actor: str, reason: str, force: bool = False, approval: str | None = None
    ) -> KeyRecord:
        """standby to active; the former active key becomes verify_only in the same transaction."""
        with self._turn_of(key_id):
            record = self.find(key_id)
            asked = Asked(record.issuer, "activate", key_id, actor, reason, force)
            return self._activate(record, self._lineage(record), asked, approval).active

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
        approval: str | None = None,
    ) -> Rotation:
        """Activate the standby, then make and publish a new one.

        Callers that all name the active key with ``key_id`` rotate it once: RefusedError ``catalog.conflict``
        for the others.
        """
        with self._turn(issuer):
            keys = self._journal.issuer(issuer, purpose).lineage(algorithm or (key_id and self.find(key_id).algorithm))
            if key_id not in (None, keys.active().key_id):
                raise RefusedError(Reason.CATALOG_CONFLICT, "that key is not the active one any more: look again")
            keys.check_room(self._policies.of(issuer).timings)
            asked = Asked(issuer, "activate", str(keys.standby().key_id), actor, reason, force)
            done = self._activate(keys.standby(), keys, asked, approval)
            return replace(done, standby=self._standbys.ensure(done.active.lineage, actor, reason))

    def emergency_rotate(
        self,
        issuer: str,
        *,
        actor: str,
        reason: str,
        key_id: str | None = None,
        algorithm: str | None = None,
        approval: str | None = None,
        break_glass: bool = False,
    ) -> Rotation:
        """For a key that leaked: one transaction activates the standby and revokes the active key."""
        named = {"key_id": key_id, "algorithm": algorithm, "approval": approval}
        return self._emergency.rotate(issuer, actor=actor, reason=reason, break_glass=break_glass, **named)

    def revoke(self, key_id: str, *, actor: str, reason: str, approval: str | None = None) -> KeyRecord:
        """Refuse a key for ever; its private half is destroyed. The active one needs ``emergency_rotate``."""
        self._emergency.revoke(key_id, actor=actor, reason=reason, approval=approval)
        return self.find(key_id)

    def recover(self, *, actor: str) -> list[str]:
        """Finish what a crash left, at every start. Says what it did, a line for each step."""
        return self._recovery.run(actor)

    def _lineage_with(self, issuer: str, algorithm: str | None) -> LineageKeys:
        """Raises RefusedError ``move.illegal`` for an algorithm that the issuer does not sign with."""
        keys = self._journal.issuer(issuer)
        if algorithm not in (None, *keys.algorithms):
            raise RefusedError(Reason.MOVE_ILLEGAL, f"this issuer signs with {' and '.join(keys.algorithms)}")
        return keys.lineage(algorithm)

    def _activate(self, standby: KeyRecord, keys: LineageKeys, asked: Asked, approval: str | None) -> Rotation:
        now, timings, reason = self._clock.now(), self._timings(standby), asked.reason
        active = standby.moved(KeyState.ACTIVE, activated_at=now)
        patient = now < guards.patience_ends_at(keys.active(), standby, keys.all, timings, self.fleet.patience_s)
        previous = keys.active().moved(KeyState.VERIFY_ONLY, verify_only_at=now)
        forced = guards.overridden(
            (
                lambda: guards.check_dwell(standby, keys.all, timings, now),
                *((lambda: self.fleet.check_acknowledged(standby),) if patient else ()),
            ),
            asked.force,
            reason,
        )
        used = self.approvals.use(asked, forced, approval)
        self._journal.write(
            "key.rotated", [Replace(previous), Replace(active)], asked.requester, reason, **used.written
        )
        return Rotation(active, previous, None)
