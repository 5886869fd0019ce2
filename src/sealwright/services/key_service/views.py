"""Records as JSON for people and machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sealwright.keys.emergency import CANARY_LIFETIME_S
from sealwright.keys.record import KeyRecord, Rotation
from sealwright.services.key_service.times import written

_HIDDEN = {"handle", "public", "generation", "canary"}


def view(record: KeyRecord) -> dict[str, Any]:
    """A key record: times in RFC 3339, what has not happened left out."""
    shown = {name: value for name, value in asdict(record).items() if value is not None and name not in _HIDDEN}
    times = {name: written(value) for name, value in shown.items() if name.endswith("_at")}
    return {**shown, **times, "key_id": record.key_id}


def canary_view(record: KeyRecord) -> dict[str, Any]:
    """After its end the canary shows nothing: every verifier refuses it."""
    ends = (record.revoked_at or 0.0) + CANARY_LIFETIME_S
    return {"issuer": record.issuer, "key_id": record.key_id, "token": record.canary, "expires_at": written(ends)}


def rotation_view(rotation: Rotation) -> dict[str, Any]:
    return {
        "active": view(rotation.active),
        "previous": view(rotation.previous),
        "standby": view(rotation.standby) if rotation.standby else None,
    }
