"""KeyCatalog protocol: records, compare-and-set, and the audit entry in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sealwright.keys.audit import AuditEntry
from sealwright.keys.record import KeyRecord


@dataclass(frozen=True, slots=True)
class Insert:
    """A new record. Refused with ``catalog.conflict`` when the handle or the kid was ever used before."""

    record: KeyRecord


@dataclass(frozen=True, slots=True)
class Replace:
    """A record one generation later; refused with ``catalog.conflict`` unless the stored one is one earlier.

    ``last_signed_at`` is never replaced: only ``record_signature`` writes it.
    """

    record: KeyRecord


Change = Insert | Replace


class KeyCatalog(Protocol):
    """Where key records and the audit trail live.

    Raises RefusedError ``catalog.conflict`` when somebody else was faster or a second active key would appear,
    and UnavailableError ``catalog.unavailable`` when the store cannot be reached or written.
    """

    def records(self, issuer: str | None = None) -> list[KeyRecord]:
        """All records, oldest first."""
        ...

    def commit(self, changes: Sequence[Change], entry: AuditEntry) -> None:
        """All of the changes and the entry, or nothing. Keeps at most one active key per (issuer, purpose, alg)."""
        ...

    def record_signature(self, record: KeyRecord, entry: AuditEntry) -> None:
        """The audit entry of one signature, and ``last_signed_at`` of its key.

        This is the fence: refused with ``catalog.conflict`` unless the key is still active. It does not change
        the generation of the record.
        """
        ...

    def version(self) -> int:
        """A number that grows with every commit: an unchanged version means unchanged records."""
        ...

    def audit(self, *, after: int = 0) -> Iterator[AuditEntry]:
        """Entries with a larger sequence, in order."""
        ...

    def check_writable(self) -> None:
        """Raises UnavailableError ``catalog.unavailable`` when the next commit would."""
        ...

    def close(self) -> None: ...
