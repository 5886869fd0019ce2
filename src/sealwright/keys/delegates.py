"""Which key signs for an issuer: the active one, or a delegated key that it vouches for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from sealwright.jose.jwk import PublicJWK
from sealwright.keys.backend import KeyBackend
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState

_VOUCHING = frozenset({KeyState.ACTIVE, KeyState.VERIFY_ONLY})  # what a retired or revoked key said counts no more


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A record whose key signs, and its public half ready to verify."""

    record: KeyRecord
    public: PublicJWK

    @classmethod
    def of(cls, record: KeyRecord) -> Self:
        return cls(record, record.public_key())

    @property
    def key_id(self) -> str:
        return str(self.record.key_id)

    def in_time(self, now: float) -> bool:
        return self.record.expires_at is None or now < self.record.expires_at


def delegated(records: Sequence[KeyRecord]) -> list[KeyRecord]:
    return [record for record in records if record.purpose == "delegated"]


def find_delegate(
    records: Sequence[KeyRecord], active: KeyRecord, backends: Mapping[str, KeyBackend]
) -> KeyRecord | None:
    """The delegated key to use instead of the active one: the newest whose private half is held by this replica."""
    vouching = {record.key_id for record in records if record.purpose == active.purpose and record.state in _VOUCHING}
    signing = [
        record
        for record in delegated(records)
        if record.state is KeyState.ACTIVE and record.algorithm == active.algorithm and record.parent in vouching
    ]
    signing.sort(key=lambda record: record.activated_at or 0.0, reverse=True)
    return next((record for record in signing if is_held(record, backends)), None)


def is_held(record: KeyRecord, backends: Mapping[str, KeyBackend]) -> bool:
    """Whether this replica can sign with it: that is what makes a delegated key its own."""
    backend = backends.get(record.backend)
    return backend is not None and backend.find(record.handle) is not None
