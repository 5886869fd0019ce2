"""Counting the fleet: one event for each issuer whose verifiers report, which each replica's metrics show."""

from __future__ import annotations

from collections.abc import Sequence

from sealwright.events import FleetCounted, tell
from sealwright.keys.fleet import Member, live
from sealwright.keys.fleet_report import Published, enforcement, rotation_lag_s, shortfalls
from sealwright.keys.record import IN_JWKS, KeyRecord
from sealwright.keys.rehearsal import canary_trial
from sealwright.wiring.single_process import SingleProcess


def count_fleet(process: SingleProcess) -> None:
    """Raises UnavailableError."""
    fleet = process.signing.lifecycle.fleet
    members = fleet.members()
    records = process.signing.catalog.records() if members else []
    since = fleet.live_since()
    for name in process.publications.issuers():
        them = [one for one in members if name in one.issuers]
        if them:
            mine = [record for record in records if record.issuer == name]
            tell(process.observing.observer, _counted(process, name, mine, them, live(them, since)))


def _counted(
    process: SingleProcess, name: str, records: Sequence[KeyRecord], them: Sequence[Member], heard: Sequence[Member]
) -> FleetCounted:
    published = Published(process.sequence(name), 0.0)
    behind = sum(bool(shortfalls(one, name, records, published)) for one in heard)
    now = process.clock.now()
    lag_s, held_s = _rotation_lag_s(records, heard, now), _enforcement_s(records, heard, now)
    return FleetCounted(name, len(heard), behind, len(them) - len(heard), lag_s, held_s)


def _rotation_lag_s(records: Sequence[KeyRecord], heard: Sequence[Member], now: float) -> float | None:
    """Of the key that was published last."""
    published = [record for record in records if record.published and record.purpose in IN_JWKS]
    newest = max(published, key=lambda record: record.published_at or 0.0, default=None)
    return None if newest is None else rotation_lag_s(newest, heard, now)


def _enforcement_s(records: Sequence[KeyRecord], heard: Sequence[Member], now: float) -> float | None:
    """Of the key that was revoked last and can still be tried."""
    given = [one for record in records if (one := canary_trial(record)) is not None and one.ends_at > now]
    newest = max(given, key=lambda one: one.began_at, default=None)
    if newest is None or not heard:
        return None
    return (enforcement(newest, heard).enforced_at or now) - newest.began_at
