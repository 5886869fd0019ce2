"""Orphans: keys that a backend holds and no record knows, and records whose key is gone. Found, and left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sealwright.errors import BackendError, Reason
from sealwright.keys.backend import KeyBackend
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState

_FINAL = (KeyState.DESTROYED, KeyState.REVOKED)


@dataclass(frozen=True, slots=True)
class BackendOrphans:
    """One backend's. ``failed`` is why it could not be asked; nothing is known then."""

    backend: str
    unknown: tuple[str, ...] = ()  # handles that no record has
    missing: tuple[KeyRecord, ...] = ()  # records whose key the backend does not have
    failed: Reason | None = None


def find_orphans(catalog: KeyCatalog, backends: Mapping[str, KeyBackend]) -> list[BackendOrphans]:
    """Asks every backend. Raises UnavailableError when the catalog cannot be read."""
    return [_orphans_of(name, backend, catalog) for name, backend in backends.items()]


def _orphans_of(name: str, backend: KeyBackend, catalog: KeyCatalog) -> BackendOrphans:
    try:
        held = set(backend.handles())
        # Read after the backend: a key is journaled before it is made, so its record is there by now.
        records = [record for record in catalog.records() if record.backend == name]
        known = {record.handle for record in records}
        missing = [record for record in records if _needed(record) and record.handle not in held]
        # Asked again: a key may have been made since. Not by find, which may answer from memory.
        held_now = set(backend.handles()) if missing else set()
    except BackendError as error:
        return BackendOrphans(name, failed=error.reason)
    return BackendOrphans(
        name, tuple(sorted(held - known)), tuple(record for record in missing if record.handle not in held_now)
    )


def _needed(record: KeyRecord) -> bool:
    """Its private half was made and should be there; those of delegated keys live elsewhere."""
    made = record.key_id is not None and record.destroyed_at is None
    return made and record.parent is None and record.state not in _FINAL
