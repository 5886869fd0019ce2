"""Recovery: at every start, finish what a crash left; whatever it was, the catalog says so."""

from __future__ import annotations

from sealwright.keys.issuer_keys import IssuerKeys
from sealwright.keys.journal import Journal
from sealwright.keys.opening import Opening
from sealwright.keys.record import Lineage
from sealwright.keys.shares import lineages_rolled_out
from sealwright.keys.standbys import Standbys, turn_of
from sealwright.keys.states import KeyState
from sealwright.keys.upkeep import Upkeep

REASON = "recovery at start"


class Recovery:
    """Holds the turn of each issuer while it looks: what another process is making now is no leftover."""

    def __init__(self, journal: Journal, standbys: Standbys, opening: Opening, upkeep: Upkeep) -> None:
        self._journal = journal
        self._standbys = standbys
        self._opening = opening
        self._upkeep = upkeep

    def run(self, actor: str) -> list[str]:
        """Says what it did, a line for each step."""
        done: list[str] = []
        begun = {record.lineage for record in self._journal.catalog.records() if not record.parent}
        for lineage in sorted(begun | lineages_rolled_out(self._journal.catalog)):
            with self._journal.catalog.turn(turn_of(lineage[0])):
                done += self._recover(lineage, actor)
        for record in self._journal.catalog.records():
            if record.parent is not None:  # its own replica holds it, and destroys it: DelegatedKeys
                continue
            left = record.state in (KeyState.REVOKED, KeyState.DESTROYED) and record.destroyed_at is None
            if left and self._journal.destroy_soon(record, actor, REASON):
                done.append(f"destroyed the private half of {record.key_id or record.handle}")
        return done

    def _recover(self, lineage: Lineage, actor: str) -> list[str]:
        issuer, purpose, algorithm = lineage
        everything = IssuerKeys(self._journal.catalog.records(issuer), issuer, purpose)
        keys = everything.of(algorithm)
        if not everything.opened and not keys.pending:
            for record in keys.interrupted:
                self._upkeep.withdraw(record.handle, actor, REASON)
            return [f"withdrew a pending key of {issuer}"] * len(keys.interrupted)
        if not everything.opened:
            self._opening.open(lineage, keys.pending[0].backend, actor, REASON)
            return [f"opened issuer {issuer}"]
        alive = keys.find_active() is not None or lineage in lineages_rolled_out(self._journal.catalog)
        lacks = alive and keys.find_standby() is None
        made = lacks and self._standbys.ensure(lineage, actor, REASON) is not None
        left = self._journal.issuer(issuer, purpose).of(algorithm)
        surplus = left.pending + left.interrupted
        for record in surplus:
            self._upkeep.withdraw(record.handle, actor, REASON)
        return [f"made a standby for {issuer}"] * made + [f"withdrew a pending key of {issuer}"] * len(surplus)
