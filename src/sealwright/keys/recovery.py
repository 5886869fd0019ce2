"""Recovery: at every start, finish what a crash left; whatever it was, the catalog says so."""

from __future__ import annotations

from sealwright.keys.catalog import Replace
from sealwright.keys.issuer_keys import IssuerKeys
from sealwright.keys.journal import Journal
from sealwright.keys.opening import Opening
from sealwright.keys.record import KeyRecord, Lineage
from sealwright.keys.standbys import Standbys, turn_of
from sealwright.keys.states import KeyState

REASON = "recovery at start"


class Recovery:
    """Holds the turn of each issuer while it looks: what another process is making now is no leftover."""

    def __init__(self, journal: Journal, standbys: Standbys, opening: Opening) -> None:
        self._journal = journal
        self._standbys = standbys
        self._opening = opening

    def run(self, actor: str) -> list[str]:
        """Says what it did, a line for each step."""
        done: list[str] = []
        for lineage in sorted({record.lineage for record in self._journal.catalog.records() if not record.parent}):
            with self._journal.catalog.turn(turn_of(lineage[0])):
                done += self._recover(lineage, actor)
        for record in self._journal.catalog.records():
            if record.parent is not None:  # its own replica holds it, and destroys it: DelegatedKeys
                continue
            if record.state in (KeyState.REVOKED, KeyState.DESTROYED) and record.destroyed_at is None:
                self._journal.destroy_material(record, actor, REASON)
                done.append(f"destroyed the private half of {record.key_id or record.handle}")
        return done

    def _recover(self, lineage: Lineage, actor: str) -> list[str]:
        issuer, purpose, algorithm = lineage
        everything = IssuerKeys(self._journal.catalog.records(issuer), issuer, purpose)
        keys = everything.of(algorithm)
        if not everything.opened:
            self._opening.open(lineage, keys.pending[0].backend, actor, REASON)
            return [f"opened issuer {issuer}"]
        lacks = keys.find_active() is not None and keys.find_standby() is None
        made = lacks and self._standbys.ensure(lineage, actor, REASON) is not None
        surplus = self._journal.issuer(issuer, purpose).of(algorithm).pending
        for record in surplus:
            self.withdraw(record, actor, REASON)
        return [f"made a standby for {issuer}"] * made + [f"withdrew a pending key of {issuer}"] * len(surplus)

    def withdraw(self, record: KeyRecord, actor: str, reason: str) -> None:
        """pending to retired, and the private half destroyed: the backend may have made it before the crash."""
        withdrawn = record.moved(KeyState.RETIRED, retired_at=self._journal.clock.now())
        self._journal.write("key.moved", [Replace(withdrawn)], actor, reason)
        self._journal.destroy_material(withdrawn, actor, reason)
