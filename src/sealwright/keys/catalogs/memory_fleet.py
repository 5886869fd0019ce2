"""What verifiers report, in memory: for tests and throw-away processes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sealwright.keys.fleet import Member, Number, merged
from sealwright.keys.fleet_store import MOST_MEMBERS


class MemoryFleet:
    """A FleetStore that forgets everything with its process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: dict[Number, Member] = {}

    def put(self, members: Sequence[Member]) -> None:
        with self._lock:
            for one in members:
                self._members[one.number] = merged(self._members.get(one.number), one)

    def members(self, since: float = 0.0) -> list[Member]:
        with self._lock:
            found = [one for one in self._members.values() if one.last_seen_at >= since]
        return sorted(_newest(found), key=lambda one: one.number)

    def forget(self, before: float) -> int:
        with self._lock:
            kept = _newest([one for one in self._members.values() if one.last_seen_at >= before])
            dropped = len(self._members) - len(kept)
            self._members = {one.number: one for one in kept}
            return dropped


def _newest(members: list[Member]) -> list[Member]:
    return sorted(members, key=lambda one: one.last_seen_at, reverse=True)[:MOST_MEMBERS]
