"""Enforcements: when every live verifier had refused a revoked key is written down once, for the audit and for M10."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sealwright.clock import Clock
from sealwright.errors import Reason, RefusedError
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import Document, KeyCatalog, Put
from sealwright.keys.fleet import Member
from sealwright.keys.fleet_report import Enforcement, enforcement
from sealwright.keys.live_fleet import LiveFleet
from sealwright.keys.record import KeyRecord
from sealwright.keys.rehearsal import canary_trial

KIND = "revocation-enforced"


@dataclass(frozen=True, slots=True)
class Enforced:
    """That a key was refused everywhere: times in seconds since the epoch, and by how many processes."""

    issuer: str
    key_id: str
    commanded_at: float
    enforced_at: float
    verifiers: int


class Enforcements:
    """What is known of the canaries of keys that leaked."""

    def __init__(self, catalog: KeyCatalog, fleet: LiveFleet, clock: Clock) -> None:
        self._catalog = catalog
        self._fleet = fleet
        self._clock = clock

    def known(self) -> dict[str, Enforced]:
        """By kid."""
        return {name: _enforced(document) for name, document in self._catalog.documents(KIND).items()}

    def of(self, record: KeyRecord, live: Sequence[Member] | None = None) -> Enforcement | None:
        """How far it is now; None for a key without a canary. ``live`` are the verifiers of its issuer, if known."""
        given = canary_trial(record)
        if given is None:
            return None
        return enforcement(given, self._fleet.live(record.issuer) if live is None else live)

    def write(self, records: Iterable[KeyRecord], *, actor: str, reason: str) -> None:
        """Note each revocation that has come to hold everywhere."""
        known, now = self.known(), self._clock.now()
        for record in records:
            given = canary_trial(record)
            if given is None or given.ends_at <= now or given.key_id in known:
                continue
            found = enforcement(given, self._fleet.live(record.issuer))
            if found.enforced_at is not None:
                self._note(found, found.enforced_at, actor, reason)

    def _note(self, found: Enforcement, enforced_at: float, actor: str, reason: str) -> None:
        facts = {"commanded_at": found.commanded_at, "enforced_at": enforced_at, "verifiers": found.of}
        put = Put(Document(KIND, found.key_id, {"issuer": found.issuer, **facts}))
        action = "revocation.enforced"
        try:
            self._catalog.commit(
                [put], AuditEntry(self._clock.now(), actor, action, found.issuer, found.key_id, reason, facts)
            )
        except RefusedError as refused:
            if refused.reason is not Reason.CATALOG_CONFLICT:  # another process has just written it
                raise


def _enforced(document: Document) -> Enforced:
    return Enforced(key_id=document.name, **document.body)
