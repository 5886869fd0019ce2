"""Restoring: what a backup and later knowledge add up to; no revoked key comes back, no sequence goes down. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sealwright.keys.record import KeyRecord, Lineage
from sealwright.keys.states import KeyState

# How far versions may have gone since the backup was made: nobody commits as often in the life of a backup.
VERSION_GAP = 1_000_000
_FINAL = (KeyState.REVOKED, KeyState.DESTROYED)
_WHY = "refused by a feed that is newer than the backup"


def merged(
    current: Iterable[KeyRecord], backup: Iterable[KeyRecord], revoked: Mapping[str, float], now: float
) -> list[KeyRecord]:
    """The records after a restore. ``revoked``: kids of later feeds, and when each was revoked.

    Of two records of one key the later one stays, and a final one always. Where two keys would sign for one lineage,
    the one that was activated last does; where the active one is revoked, its standby steps in.
    """
    chosen = {record.handle: record for record in backup}
    for record in current:
        other = chosen.get(record.handle)
        chosen[record.handle] = record if other is None else _later(record, other)
    records = [_refused(record, revoked, now) for record in chosen.values()]
    lineages: dict[Lineage, list[KeyRecord]] = {}
    for record in sorted(records, key=lambda record: (record.created_at, record.handle)):
        lineages.setdefault(record.lineage, []).append(record)
    return [record for members in lineages.values() for record in _settled(members, now)]


def _later(one: KeyRecord, other: KeyRecord) -> KeyRecord:
    """``revoked`` beats ``destroyed``: it is the one that verifiers must hear of."""
    return max(one, other, key=lambda record: (_rank(record), record.generation))


def _rank(record: KeyRecord) -> int:
    return _FINAL[::-1].index(record.state) + 1 if record.state in _FINAL else 0


def _refused(record: KeyRecord, revoked: Mapping[str, float], now: float) -> KeyRecord:
    at = revoked.get(str(record.key_id))
    if at is None or record.state is KeyState.REVOKED:
        return record
    refused = replace(record, state=KeyState.REVOKED, generation=record.generation + 1)
    return replace(refused, revoked_at=min(at, now), revoked_reason=_WHY)


def _settled(members: list[KeyRecord], now: float) -> list[KeyRecord]:
    counted = [record for record in members if record.parent is None]
    rest = [record for record in members if record.parent is not None]
    active = _newest(counted, KeyState.ACTIVE)
    standby = _newest(counted, KeyState.STANDBY)
    settled = [_stepped_down(record, active, standby, now) for record in counted]
    if active is None and standby is not None and any(record.activated_at is not None for record in counted):
        settled = [_promoted(record, now) if record.handle == standby.handle else record for record in settled]
    return settled + rest


def _newest(records: list[KeyRecord], state: KeyState) -> KeyRecord | None:
    found = [record for record in records if record.state is state]
    return max(found, key=_since, default=None)


def _since(record: KeyRecord) -> tuple[float, str]:
    return record.activated_at or record.published_at or 0.0, record.handle


def _stepped_down(record: KeyRecord, active: KeyRecord | None, standby: KeyRecord | None, now: float) -> KeyRecord:
    if record.state is KeyState.ACTIVE and record is not active:
        return record.moved(KeyState.VERIFY_ONLY, verify_only_at=now)
    if record.state is KeyState.STANDBY and record is not standby:
        return record.moved(KeyState.RETIRED, retired_at=now)
    return record


def _promoted(record: KeyRecord, now: float) -> KeyRecord:
    return record.moved(KeyState.ACTIVE, activated_at=now)
