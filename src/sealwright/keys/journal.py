"""How a key comes to be: journaled first, then made at its backend, so that a crash neither orphans nor doubles one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sealwright.clock import Clock
from sealwright.errors import BackendError, Reason, UnavailableError
from sealwright.events import BreakGlassUsed, KeyMoved, Observer, ScheduledStepFailed, tell
from sealwright.keys.audit import AuditEntry
from sealwright.keys.backend import KeyBackend, PublicHalf, backend_named
from sealwright.keys.catalog import Insert, KeyCatalog, Put, Remove, Replace
from sealwright.keys.issuer_keys import IssuerKeys
from sealwright.keys.policy import Policies
from sealwright.keys.record import KeyRecord, Purpose
from sealwright.keys.states import KeyState


class Journal:
    """Writes changes with their audit entry, reports them afterwards, and makes and destroys private halves."""

    def __init__(
        self,
        catalog: KeyCatalog,
        backends: Mapping[str, KeyBackend],
        policies: Policies,
        clock: Clock,
        observer: Observer | None,
    ) -> None:
        self.catalog = catalog
        self.policies = policies
        self.clock = clock
        self._backends = backends
        self._observer = observer

    def issuer(self, issuer: str, purpose: Purpose = "token") -> IssuerKeys:
        """What there is now. Raises RefusedError ``move.unknown_issuer``."""
        return IssuerKeys(self.catalog.records(issuer), issuer, purpose).check_open()

    def new(self, issuer: str, purpose: Purpose, algorithm: str, backend: str) -> KeyRecord:
        """A pending record, not written yet; its handle is new."""
        self.backend(backend)
        now = self.clock.now()
        return KeyRecord(secrets.token_hex(16), issuer, purpose, algorithm, backend, KeyState.PENDING, now)

    def write(
        self,
        action: str,
        changes: Sequence[Insert | Replace],
        actor: str,
        reason: str,
        *,
        documents: Sequence[Put | Remove] = (),
        **facts: Any,
    ) -> None:
        """One transaction, then one event for each key that moved. Empty facts are left out of the audit."""
        before = self._states(changes[0].record.issuer)
        subject = changes[0].record
        moved = [[change.record.handle, str(change.record.state)] for change in changes]
        told = {"keys": moved, **{name: value for name, value in facts.items() if value}}
        entry = AuditEntry(self.clock.now(), actor, action, subject.issuer, subject.key_id, reason, told)
        self.catalog.commit([*changes, *documents], entry)
        for change in changes:
            self._report(change.record, before.get(change.record.handle), actor, reason)

    def report_break_glass(self, issuer: str, actor: str, reason: str) -> None:
        tell(self._observer, BreakGlassUsed(issuer, actor, reason))

    def report_failure(self, step: str, issuer: str, key_id: str | None, reason: Reason) -> None:
        """What nobody asked for, and was not done."""
        tell(self._observer, ScheduledStepFailed(step, issuer, key_id, reason))

    def note(
        self, action: str, issuer: str, documents: Sequence[Put | Remove], actor: str, reason: str, **facts: Any
    ) -> None:
        """One transaction that changes documents and no key."""
        self.catalog.commit(documents, AuditEntry(self.clock.now(), actor, action, issuer, None, reason, facts))

    def insert(self, records: Sequence[KeyRecord], actor: str, reason: str) -> None:
        self.write("key.journaled", [Insert(record) for record in records], actor, reason)

    def made(self, record: KeyRecord) -> KeyRecord:
        """The pending record with the public half that its backend has made, not written yet."""
        return with_public(record, self.backend(record.backend).generate(record.handle, record.algorithm))

    def destroy_material(self, record: KeyRecord, actor: str, reason: str) -> KeyRecord:
        """Remove the private half, and write that it is gone. Safe to repeat."""
        if record.destroyed_at is not None:  # a public key alone, whose private half was never here
            return record
        self.backend(record.backend).destroy(record.handle)
        gone = replace(record, destroyed_at=self.clock.now(), generation=record.generation + 1)
        self.write("key.material_destroyed", [Replace(gone)], actor, reason)
        return gone

    def destroy_soon(self, record: KeyRecord, actor: str, reason: str) -> bool:
        """For a key that is given up already: a backend that fails does not undo that; the scheduler tries again."""
        with suppress(BackendError, UnavailableError):
            self.destroy_material(record, actor, reason)
            return True
        return False

    def switch(self, record: KeyRecord, *, on: bool) -> None:
        """Off while a key is retired, where its backend can. The record decides, so a failure here is no failure."""
        with suppress(BackendError):
            backend = self.backend(record.backend)
            (backend.enable if on else backend.disable)(record.handle)

    def backend(self, name: str) -> KeyBackend:
        """Raises BackendError ``backend.failed`` for one that is not configured here."""
        return backend_named(self._backends, name)

    def _states(self, issuer: str) -> dict[str, KeyState]:
        """What events will say the keys were before; nobody asks without an observer."""
        return {record.handle: record.state for record in self.catalog.records(issuer)} if self._observer else {}

    def _report(self, record: KeyRecord, before: KeyState | None, actor: str, reason: str) -> None:
        if record.key_id is not None and before != record.state:
            was = str(before) if before else None
            tell(
                self._observer,
                KeyMoved(record.issuer, record.algorithm, record.key_id, was, str(record.state), actor, reason),
            )


def with_public(record: KeyRecord, public: PublicHalf) -> KeyRecord:
    """The record with its public half, under the kid that it came with, or else its thumbprint."""
    key_id = record.key_id or public.thumbprint()
    return replace(record, key_id=key_id, public={**public.to_dict(), "kid": key_id})
