"""Standbys: the key that an issuer will sign with next, made and published long before."""

from __future__ import annotations

from contextlib import suppress

from sealwright.errors import BackendError, RefusedError, UnavailableError
from sealwright.keys.catalog import Replace
from sealwright.keys.issuer_keys import LineageKeys
from sealwright.keys.journal import Journal
from sealwright.keys.record import KeyRecord, Lineage
from sealwright.keys.states import KeyState


class Standbys:
    """Makes standbys; a pending key that a crash left is used before a new one is journaled.

    Callers hold the turn of the issuer, since two processes must not make the key of one handle.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def ensure(self, lineage: Lineage, actor: str, reason: str) -> KeyRecord | None:
        """The standby, made if it is missing; None when it cannot be made now.

        The move before this one is done and stays done, so a failure here is left to the scheduler.
        """
        with suppress(BackendError, UnavailableError, RefusedError):
            return self.find_or_make(lineage, actor, reason)
        return None

    def find_or_make(self, lineage: Lineage, actor: str, reason: str) -> KeyRecord:
        """The standby, made if it is missing. Raises RefusedError ``guard.*``, BackendError or UnavailableError."""
        issuer, purpose, algorithm = lineage
        with self._journal.catalog.turn(turn_of(issuer)):
            keys = self._journal.issuer(issuer, purpose).of(algorithm)
            return keys.find_standby() or self.make(keys, actor, reason)

    def make(self, keys: LineageKeys, actor: str, reason: str) -> KeyRecord:
        """A new key of an open issuer, made at its backend and published."""
        record = next(iter(keys.pending), None)
        if record is None:
            record = self._journal.new(*keys.lineage, self._backend(keys))
            self._journal.insert([record], actor, reason)
        return self.publish(self._journal.made(record), keys, actor, reason)

    def publish(self, record: KeyRecord, keys: LineageKeys, actor: str, reason: str) -> KeyRecord:
        """pending to standby."""
        published = record.moved(KeyState.STANDBY, published_at=self._journal.clock.now())
        keys.check_no_standby()
        keys.check_room(self._journal.policies.of(record.issuer).timings)
        self._journal.write("key.published", [Replace(published)], actor, reason)
        return published

    def _backend(self, keys: LineageKeys) -> str:
        """The one of the policy; a secret of a partner stays where its kind is kept."""
        issuer, purpose, _ = keys.lineage
        return keys.active().backend if purpose == "shared-secret" else self._journal.policies.of(issuer).backend


def turn_of(issuer: str) -> str:
    """The name of the turn in which the keys of an issuer are made."""
    return f"issuer:{issuer}"
