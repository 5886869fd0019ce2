"""IssuerKeys: the records of one issuer and purpose, asked the questions that moves ask. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from sealwright.errors import Reason, RefusedError
from sealwright.keys import guards
from sealwright.keys.record import KeyRecord, Purpose
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings


class IssuerKeys:
    """A view of one instant."""

    def __init__(self, records: Iterable[KeyRecord], issuer: str, purpose: Purpose) -> None:
        self.all = [record for record in records if (record.issuer, record.purpose) == (issuer, purpose)]

    @property
    def opened(self) -> bool:
        return any(record.state is not KeyState.PENDING for record in self.all)

    @property
    def pending(self) -> list[KeyRecord]:
        return self._in(KeyState.PENDING)

    def check_open(self) -> Self:
        if not self.opened:
            raise RefusedError(Reason.MOVE_UNKNOWN_ISSUER, "there is no such issuer: keys create makes one")
        return self

    def active(self) -> KeyRecord:
        """Raises RefusedError ``guard.no_active_key``."""
        found = self._in(KeyState.ACTIVE)
        if not found:
            raise RefusedError(Reason.GUARD_NO_ACTIVE_KEY, "the issuer has no active key")
        return found[0]

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
        guards.check_room(self.all, timings)

    def _in(self, state: KeyState) -> list[KeyRecord]:
        return [record for record in self.all if record.state is state]
