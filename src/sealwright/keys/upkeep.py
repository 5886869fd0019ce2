"""Upkeep: routine moves that no person asks for, because time or a failure made them necessary."""

from __future__ import annotations

from sealwright.errors import Reason, RefusedError
from sealwright.keys import guards
from sealwright.keys.catalog import Replace
from sealwright.keys.journal import Journal
from sealwright.keys.record import ADOPTION, KeyRecord, Lineage
from sealwright.keys.standbys import Standbys, turn_of
from sealwright.keys.states import KeyState


class Upkeep:
    """Every step may be repeated: what is done already is not done again."""

    def __init__(self, journal: Journal, standbys: Standbys) -> None:
        self._journal = journal
        self._standbys = standbys

    def make_standby(self, lineage: Lineage, actor: str, reason: str) -> KeyRecord:
        """See ``Standbys.find_or_make``."""
        return self._standbys.find_or_make(lineage, actor, reason)

    def withdraw(self, handle: str, actor: str, reason: str) -> None:
        """pending to retired, and the private half destroyed: the backend may have made it before a crash.

        A key that was being adopted was there before us, and is left alone.
        """
        record = self._find(handle)
        with self._journal.catalog.turn(turn_of(record.issuer)):
            record = self._find(handle)
            if not record.on_its_way_in:
                guards.check_no_hold(record)
            if record.state is not KeyState.PENDING:
                raise RefusedError(
                    Reason.MOVE_ILLEGAL, f"only a pending key is withdrawn, and this one is {record.state}"
                )
            now = self._journal.clock.now()
            gone = {"destroyed_at": now} if record.hold == ADOPTION else {}
            withdrawn = record.moved(KeyState.RETIRED, retired_at=now, **gone)
            self._journal.write("key.moved", [Replace(withdrawn)], actor, reason)
            self._journal.destroy_soon(withdrawn, actor, reason)

    def erase(self, handle: str, actor: str, reason: str) -> None:
        """Finish the destruction of a private half that was decided before."""
        record = self._find(handle)
        if record.destroyed_at is None:
            self._journal.destroy_material(record, actor, reason)

    def _find(self, handle: str) -> KeyRecord:
        found = (record for record in self._journal.catalog.records() if record.handle == handle)
        record = next(found, None)
        if record is None:
            raise RefusedError(Reason.MOVE_UNKNOWN_KEY, "there is no key with this handle")
        return record
