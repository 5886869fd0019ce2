"""IssuerKeys and LineageKeys: the records of one issuer and purpose, and those of one algorithm among them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from sealwright.errors import Reason, RefusedError
from sealwright.keys import guards
from sealwright.keys.record import KeyRecord, Lineage, Purpose
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings


class LineageKeys:
    """The keys of one issuer, purpose and algorithm, of which one is active and one is standby. One instant."""

    def __init__(self, siblings: list[KeyRecord], lineage: Lineage, shown: list[KeyRecord] | None = None) -> None:
        """``shown``: all that take a place in the published set; the siblings where nobody says more."""
        self.lineage = lineage
        algorithm = lineage[2]
        self.all = [record for record in siblings if record.algorithm == algorithm]
        self.siblings = siblings if shown is None else shown

    @property
    def pending(self) -> list[KeyRecord]:
        """Made or being made here, and never published."""
        return [record for record in self._in(KeyState.PENDING) if record.hold is None]

    @property
    def interrupted(self) -> list[KeyRecord]:
        """Pending keys that were on their way in from outside."""
        return [record for record in self._in(KeyState.PENDING) if record.on_its_way_in]

    def find_active(self) -> KeyRecord | None:
        return next(iter(self._in(KeyState.ACTIVE)), None)

    def active(self) -> KeyRecord:
        """Raises RefusedError ``guard.no_active_key``."""
        found = self.find_active()
        if found is None:
            raise RefusedError(Reason.GUARD_NO_ACTIVE_KEY, "the issuer has no active key")
        return found

    def find_standby(self) -> KeyRecord | None:
        return next(iter(self._in(KeyState.STANDBY)), None)

    def standby(self) -> KeyRecord:
        """Raises RefusedError ``guard.no_standby``."""
        found = self.find_standby()
        if found is None:
            raise RefusedError(Reason.GUARD_NO_STANDBY, "there is no standby key to activate: keys create makes one")
        return found

    def check_no_standby(self) -> None:
        if self.find_standby() is not None:
            raise RefusedError(Reason.GUARD_STANDBY_EXISTS, "the issuer has a standby key already")

    def check_room(self, timings: KeyTimings) -> None:
        guards.check_room(self.siblings, timings)

    def _in(self, state: KeyState) -> list[KeyRecord]:
        return [record for record in self.all if record.state is state]


class IssuerKeys:
    """The keys of one issuer and purpose. One instant."""

    def __init__(self, records: Iterable[KeyRecord], issuer: str, purpose: Purpose) -> None:
        mine = [record for record in records if record.issuer == issuer]
        self.all = [record for record in mine if record.purpose == purpose]
        delegated = [record for record in mine if record.purpose == "delegated"]  # they take places in the set as well
        self._shown = self.all + (delegated if purpose == "token" else [])
        self._of = issuer, purpose

    @property
    def opened(self) -> bool:
        return any(record.published_at is not None for record in self.all)

    def check_open(self) -> Self:
        if not self.opened:
            raise RefusedError(Reason.MOVE_UNKNOWN_ISSUER, "there is no such issuer: keys create makes one")
        return self

    @property
    def algorithms(self) -> list[str]:
        """Those with a key that signs or is about to, oldest first: one, or two during a roll-out."""
        alive = (KeyState.ACTIVE, KeyState.STANDBY)
        return list(dict.fromkeys(record.algorithm for record in self.all if record.state in alive))

    def lineage(self, algorithm: str | None = None) -> LineageKeys:
        """Those of one algorithm, which may be left out while the issuer has just one.

        Raises RefusedError ``move.algorithm_needed``, or ``guard.no_active_key`` for an algorithm without keys.
        """
        known = self.algorithms
        if algorithm is None and len(known) > 1:
            message = f"the issuer signs with {' and '.join(known)}: name one with --algorithm, or a key with --kid"
            raise RefusedError(Reason.MOVE_ALGORITHM_NEEDED, message)
        if algorithm not in (None, *known) or not known:
            raise RefusedError(Reason.GUARD_NO_ACTIVE_KEY, f"the issuer has no active {algorithm or ''} key")
        return self.of(algorithm or known[0])

    def of(self, algorithm: str) -> LineageKeys:
        """Those of one algorithm, which may be none."""
        return LineageKeys(self.all, (*self._of, algorithm), self._shown)
