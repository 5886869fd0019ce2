"""A small model of the key life, written from docs/lifecycle.md and not from the code: it watches, and objects."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from sealwright.clock import ManualClock
from sealwright.keys.record import KeyRecord
from sealwright.keys.timings import KeyTimings

HOUR = 3600.0
NEXT = {
    "none": {"pending"},
    "pending": {"standby", "retired"},
    "standby": {"active", "retired", "revoked"},
    "active": {"verify_only", "revoked"},
    "verify_only": {"retired", "revoked"},
    "retired": {"verify_only", "destroyed", "revoked"},
    "destroyed": set(),
    "revoked": set(),
}
PUBLISHED = {"standby", "active", "verify_only"}


def reachable(state: str) -> set[str]:
    found, ahead = {state}, [state]
    while ahead:
        fresh = NEXT[ahead.pop()] - found
        found |= fresh
        ahead += fresh
    return found


class KeyModel:
    """Compares what the records say after each step with what it saw before. No time passes within a step."""

    def __init__(self, timings: KeyTimings) -> None:
        self.timings = timings
        self.seen: dict[str, Any] = {}  # handle -> record, as of the step before
        self.owner: dict[str, str] = {}  # kid -> the handle that it belongs to for ever
        self.since: dict[tuple[str, str], float] = {}  # (handle, state) -> when it was seen to begin
        self.first: set[str] = set()
        self.last_signed: dict[str, float] = {}
        self.readings: dict[int, list[tuple[float, float]]] = defaultdict(list)

    def signed(self, handle: str, clock: ManualClock) -> None:
        self.last_signed[handle] = clock.now()

    def read(self, replica: int, clock: ManualClock) -> None:
        """A scheduler looked at both clocks."""
        self.readings[replica].append((clock.monotonic(), clock.now() - clock.monotonic()))
        self.ticking = replica

    def forget_readings(self, replica: int) -> None:
        self.readings[replica].clear()

    def published(self, issuer: str) -> set[str]:
        return {r.key_id for r in self.seen.values() if r.issuer == issuer and str(r.state) in PUBLISHED}

    def watch(
        self,
        records: list[KeyRecord],
        clock: ManualClock,
        *,
        forced: bool = False,
        emergency: bool = False,
        scheduled: bool = False,
    ) -> None:
        assert self.seen.keys() <= {record.handle for record in records}, "a record vanished"
        room_before = self.counted(self.seen.values())
        for record in records:
            self.check_identity(record)
            before = str(self.seen[record.handle].state) if record.handle in self.seen else "none"
            if before != str(record.state):
                self.check_move(record, before, clock, forced or emergency, scheduled)
                self.since[record.handle, str(record.state)] = clock.now()
        self.seen = {record.handle: record for record in records}
        self.check_sets(room_before, emergency)

    def check_identity(self, record: KeyRecord) -> None:
        if record.key_id is not None:
            assert self.owner.setdefault(record.key_id, record.handle) == record.handle, "a kid was used again"
        earlier = self.seen.get(record.handle)
        if earlier is not None and earlier.key_id is not None:
            assert earlier.key_id == record.key_id, "a key changed its kid"

    def check_move(self, record: KeyRecord, before: str, clock: ManualClock, forced: bool, scheduled: bool) -> None:
        after, handle, now = str(record.state), record.handle, clock.now()
        assert after in reachable(before), f"{before} became {after}"
        held = handle in self.seen and self.seen[handle].hold is not None
        assert not (held and after in ("retired", "destroyed")), f"{before} became {after} on hold"
        if scheduled:
            assert after != "verify_only" or before == "active", "a key was rotated away twice, or a retirement undone"
            assert after != "destroyed" or self.steady_for_an_hour(), "destroyed by an unproven clock"
        if forced:
            return
        if before == "standby" and after in ("active", "verify_only"):
            published = self.since[handle, "standby"]
            dwell_s = self.timings.standby_dwell_s
            assert now >= published + dwell_s or handle in self.first, "signs too soon"
        if before == "verify_only" and after in ("retired", "destroyed"):
            floor = self.since[handle, "verify_only"] + self.timings.verify_window_floor_s
            tail = self.last_signed.get(handle, 0.0) + self.timings.verify_tail_s
            assert now >= max(floor, tail), "left the published set too soon"
        if before == "retired" and after == "destroyed":
            assert now >= self.since[handle, "retired"] + self.timings.restorable_s, "destroyed too soon"

    def steady_for_an_hour(self) -> bool:
        readings = self.readings[self.ticking]
        monotonic, offset = readings[-1]
        recent = [one for at, one in readings if at > monotonic - HOUR]
        return readings[0][0] <= monotonic - HOUR and all(abs(one - offset) <= 2 * HOUR for one in recent)

    def check_sets(self, room_before: Counter[Any], emergency: bool) -> None:
        active = Counter(record.lineage for record in self.seen.values() if str(record.state) == "active")
        assert set(active) == {record.lineage for record in self.seen.values()}
        assert set(active.values()) == {1}, "not just one active key"
        standby = Counter(record.lineage for record in self.seen.values() if str(record.state) == "standby")
        assert set(standby.values()) <= {1}, "more than one standby"
        for issuer, number in self.counted(self.seen.values()).items():
            room = max(self.timings.published_keys, room_before[issuer])
            assert number <= room or emergency, "more keys published than the cap"
        # The first set ever needs no dwell.
        self.first = self.first or set(self.seen)

    @staticmethod
    def counted(records: Any) -> Counter[Any]:
        return Counter(record.issuer for record in records if str(record.state) in PUBLISHED)
