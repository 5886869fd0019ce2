"""How a key comes to be: journaled first, then made at its backend, so that a crash neither orphans nor doubles one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sealwright.clock import Clock
from sealwright.errors import BackendError, Reason
from sealwright.events import KeyMoved, Observer, tell
from sealwright.keys.audit import AuditEntry
from sealwright.keys.backend import KeyBackend
from sealwright.keys.catalog import Change, Insert, KeyCatalog, Replace
from sealwright.keys.record import KeyRecord, Purpose
from sealwright.keys.states import KeyState


class Journal:
    """Writes changes with their audit entry, reports them afterwards, and makes and destroys private halves."""

    def __init__(
        self, catalog: KeyCatalog, backends: Mapping[str, KeyBackend], clock: Clock, observer: Observer | None
    ) -> None:
        self.catalog = catalog
        self._backends = backends
        self._clock = clock
        self._observer = observer

    def new(self, issuer: str, purpose: Purpose, algorithm: str, backend: str) -> KeyRecord:
        """A pending record, not written yet; its handle is new."""
        self._backend(backend)
        now = self._clock.now()
        return KeyRecord(secrets.token_hex(16), issuer, purpose, algorithm, backend, KeyState.PENDING, now)

    def write(
        self, action: str, changes: Sequence[Change], actor: str, reason: str, forced: Sequence[str] = ()
    ) -> None:
        """One transaction, then one event for each key that moved."""
        before = self._states(changes[0].record.issuer)
        subject = changes[0].record
        facts: dict[str, Any] = {"keys": [[change.record.handle, str(change.record.state)] for change in changes]}
        if forced:
            facts["forced"] = list(forced)
        entry = AuditEntry(self._clock.now(), actor, action, subject.issuer, subject.key_id, reason, facts)
        self.catalog.commit(changes, entry)
        for change in changes:
            self._report(change.record, before.get(change.record.handle), actor, reason)

    def insert(self, records: Sequence[KeyRecord], actor: str, reason: str) -> None:
        self.write("key.journaled", [Insert(record) for record in records], actor, reason)

    def made(self, record: KeyRecord) -> KeyRecord:
        """The pending record with the public half that its backend has made, not written yet."""
        public = self._backend(record.backend).generate(record.handle, record.algorithm)
        return replace(record, key_id=public.key_id, public=public.to_dict())

    def destroy_material(self, record: KeyRecord, actor: str, reason: str) -> KeyRecord:
        """Remove the private half, and write that it is gone. Safe to repeat."""
        self._backend(record.backend).destroy(record.handle)
        gone = replace(record, destroyed_at=self._clock.now(), generation=record.generation + 1)
        self.write("key.material_destroyed", [Replace(gone)], actor, reason)
        return gone

    def _states(self, issuer: str) -> dict[str, KeyState]:
        """What events will say the keys were before; nobody asks without an observer."""
        return {record.handle: record.state for record in self.catalog.records(issuer)} if self._observer else {}

    def _backend(self, name: str) -> KeyBackend:
        try:
            return self._backends[name]
        except KeyError:
            raise BackendError(Reason.BACKEND_FAILED, f"no key backend is called {name} here") from None

    def _report(self, record: KeyRecord, before: KeyState | None, actor: str, reason: str) -> None:
        if record.key_id is not None and before != record.state:
            was = str(before) if before else None
            tell(
                self._observer,
                KeyMoved(record.issuer, record.algorithm, record.key_id, was, str(record.state), actor, reason),
            )
