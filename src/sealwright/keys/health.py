"""Health: whether each key backend can sign now, found out by signing; opening a session proves nothing."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sealwright.errors import Reason, SealwrightError
from sealwright.keys.backend import KeyBackend
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState

# No JWS begins like this: a space is no character of base64url, so nobody can use such a signature as a token's.
PROBE = b"sealwright health probe "


@dataclass(frozen=True, slots=True)
class BackendHealth:
    """``reason`` is why a backend cannot sign; None when it can. ``key_id`` is the active key that was tried."""

    backend: str
    key_id: str
    reason: Reason | None = None


def check_health(records: Iterable[KeyRecord], backends: Mapping[str, KeyBackend]) -> list[BackendHealth]:
    """One active key of each backend that has any, by the name of the backend. Secrets of partners are not tried."""
    signing = [record for record in records if record.state is KeyState.ACTIVE and record.purpose != "shared-secret"]
    tried: dict[str, KeyRecord] = {}
    for record in signing:
        if record.parent is None:  # a delegated key is at another replica, maybe
            tried.setdefault(record.backend, record)
    return [_checked(record, backends.get(name)) for name, record in sorted(tried.items())]


def _checked(record: KeyRecord, backend: KeyBackend | None) -> BackendHealth:
    key_id = str(record.key_id)
    if backend is None:
        return BackendHealth(record.backend, key_id, Reason.BACKEND_FAILED)
    probe = PROBE + secrets.token_hex(16).encode()
    try:
        signature = backend.sign(record.handle, probe).value
    except SealwrightError as error:
        return BackendHealth(record.backend, key_id, error.reason)
    verifies = record.public_key().verify(signature, probe)
    return BackendHealth(record.backend, key_id, None if verifies else Reason.BACKEND_WRONG_SIGNATURE)
