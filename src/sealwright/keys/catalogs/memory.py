"""Key records and audit in memory: for tests, rehearsals and throw-away processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sealwright.errors import Reason, RefusedError
from sealwright.keys.audit import GENESIS, AuditEntry, chained
from sealwright.keys.catalog import Change, Insert
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState


class MemoryCatalog:
    """A KeyCatalog that forgets everything with its process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, KeyRecord] = {}
        self._audit: list[AuditEntry] = []
        self._version = 0

    def records(self, issuer: str | None = None) -> list[KeyRecord]:
        with self._lock:
            return [record for record in self._records.values() if issuer in (None, record.issuer)]

    def commit(self, changes: Sequence[Change], entry: AuditEntry) -> None:
        with self._lock:
            after = dict(self._records)
            for change in changes:
                _apply(after, change)
            _check_invariants(after)
            self._records = after
            self._append(entry)
            self._version += 1

    def record_signature(self, record: KeyRecord, entry: AuditEntry) -> None:
        with self._lock:
            stored = self._records.get(record.handle)
            if stored is None or stored.state is not KeyState.ACTIVE:
                raise _conflict()
            self._records[record.handle] = replace(stored, last_signed_at=entry.at)
            self._append(entry)

    def version(self) -> int:
        return self._version

    def audit(self, *, after: int = 0) -> Iterator[AuditEntry]:
        return iter(self._audit[after:])

    def check_writable(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _append(self, entry: AuditEntry) -> None:
        previous = self._audit[-1].digest if self._audit else GENESIS
        self._audit.append(chained(entry, len(self._audit) + 1, previous))


def _apply(records: dict[str, KeyRecord], change: Change) -> None:
    record, stored = change.record, records.get(change.record.handle)
    if isinstance(change, Insert):
        if stored is not None:
            raise _conflict()
        records[record.handle] = record
    else:
        if stored is None or stored.generation != record.generation - 1:
            raise _conflict()
        records[record.handle] = replace(record, last_signed_at=stored.last_signed_at)


def _check_invariants(records: dict[str, KeyRecord]) -> None:
    active = [(r.issuer, r.purpose, r.algorithm) for r in records.values() if r.state is KeyState.ACTIVE]
    kids = [record.key_id for record in records.values() if record.key_id is not None]
    if len(set(active)) != len(active) or len(set(kids)) != len(kids):
        raise _conflict()


def _conflict() -> RefusedError:
    return RefusedError(Reason.CATALOG_CONFLICT, "somebody else changed this key first: look again, then repeat")
