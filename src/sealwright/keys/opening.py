"""Opening: the first two keys of an issuer, published and one of them active, in one transaction."""

from __future__ import annotations

from sealwright.errors import Reason, RefusedError
from sealwright.keys.catalog import Replace
from sealwright.keys.issuer_keys import IssuerKeys
from sealwright.keys.journal import Journal
from sealwright.keys.record import Lineage
from sealwright.keys.standbys import turn_of
from sealwright.keys.states import KeyState


class Opening:
    """The one time that a key signs without having been published before: nobody holds a set without it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def open(self, lineage: Lineage, backend: str, actor: str, reason: str) -> None:
        """Safe to repeat after a crash. Raises RefusedError ``guard.issuer_exists``."""
        issuer, purpose, algorithm = lineage
        with self._journal.catalog.turn(turn_of(issuer)):
            keys = IssuerKeys(self._journal.catalog.records(issuer), issuer, purpose)
            if keys.opened:
                raise RefusedError(Reason.GUARD_ISSUER_EXISTS, "the issuer is open already")
            pending = keys.of(algorithm).pending
            fresh = [self._journal.new(issuer, purpose, algorithm, backend) for _ in range(2 - len(pending))]
            if fresh:
                self._journal.insert(fresh, actor, reason)
            now = self._journal.clock.now()
            first, second = (
                self._journal.made(record).moved(KeyState.STANDBY, published_at=now) for record in (pending + fresh)[:2]
            )
            changes = [Replace(first.moved_again(KeyState.ACTIVE, activated_at=now)), Replace(second)]
            self._journal.write("issuer.opened", changes, actor, reason)
