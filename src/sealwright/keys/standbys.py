"""Standbys: the key that an issuer will sign with next, made and published long before."""

from __future__ import annotations

from contextlib import suppress

from sealwright.clock import Clock
from sealwright.errors import BackendError, RefusedError, UnavailableError
from sealwright.keys.catalog import Replace
from sealwright.keys.issuer_keys import IssuerKeys
from sealwright.keys.journal import Journal
from sealwright.keys.record import KeyRecord, Purpose
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings


class Standbys:
    """Makes standbys; a pending key that a crash left is used before a new one is journaled."""

    def __init__(self, journal: Journal, timings: KeyTimings, clock: Clock) -> None:
        self._journal = journal
        self._timings = timings
        self._clock = clock

    def ensure(self, issuer: str, purpose: Purpose, actor: str, reason: str) -> KeyRecord | None:
        """The standby, made if it is missing; None when it cannot be made now.

        The move before this one is done and stays done, so a failure here is left to the next start.
        """
        with suppress(BackendError, UnavailableError, RefusedError):
            keys = IssuerKeys(self._journal.catalog.records(issuer), issuer, purpose)
            return keys.find_standby() or self.make(keys, actor, reason)
        return None

    def make(self, keys: IssuerKeys, actor: str, reason: str, *, emergency: bool = False) -> KeyRecord:
        """A new key, made at its backend and published. An emergency does not ask whether there is room."""
        active = keys.active()
        record = next(iter(keys.pending), None)
        if record is None:
            record = self._journal.new(active.issuer, active.purpose, active.algorithm, active.backend)
            self._journal.insert([record], actor, reason)
        return self.publish(self._journal.made(record), keys, actor, reason, emergency=emergency)

    def publish(
        self, record: KeyRecord, keys: IssuerKeys, actor: str, reason: str, *, emergency: bool = False
    ) -> KeyRecord:
        """pending to standby."""
        published = record.moved(KeyState.STANDBY, published_at=self._clock.now())
        keys.check_no_standby()
        if not emergency:
            keys.check_room(self._timings)
        self._journal.write("key.published", [Replace(published)], actor, reason)
        return published
