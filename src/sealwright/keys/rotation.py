"""What should happen to keys now, and what is going to happen: facts and a time in, moves out. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sealwright.errors import Reason
from sealwright.keys import guards
from sealwright.keys.fleet_facts import UNHEARD, FleetFacts
from sealwright.keys.issuer_keys import LineageKeys
from sealwright.keys.policy import IssuerPolicy, Policies
from sealwright.keys.record import KeyRecord, Lineage, Purpose
from sealwright.keys.states import KeyState

NEW = "(new)"  # the kid of a key that is planned, and not made yet
AT_ONCE = 0.0
MOST_PLANNED = 500


class MoveKind(StrEnum):
    """In the order in which moves of one instant are made: what frees room comes before what needs it."""

    ERASE = "erase"  # finish the destruction of a private half that was decided before
    WITHDRAW = "withdraw"  # a pending key that nobody published
    RETIRE = "retire"
    DESTROY = "destroy"
    MAKE_STANDBY = "make_standby"
    ROTATE = "rotate"  # which publishes a new standby as well


_ORDER = {kind: number for number, kind in enumerate(MoveKind)}


@dataclass(frozen=True, slots=True)
class Move:
    """What should happen to one key; for a rotation that is the active one. A new standby has no handle."""

    kind: MoveKind
    issuer: str
    purpose: Purpose
    algorithm: str
    handle: str
    key_id: str | None

    @property
    def lineage(self) -> Lineage:
        return self.issuer, self.purpose, self.algorithm


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """``at`` is when the move is made, or would be if nothing blocked it; ``AT_ONCE`` is long ago.

    ``waits_for``: guards that time satisfies by then. ``blocked_by``: what somebody must do something about.
    """

    move: Move
    at: float
    waits_for: tuple[str, ...] = ()
    blocked_by: tuple[str, ...] = ()

    @property
    def adds(self) -> bool:
        """The published set gets a key."""
        return self.move.kind in (MoveKind.MAKE_STANDBY, MoveKind.ROTATE)

    @property
    def removes(self) -> bool:
        """The published set loses a key."""
        return self.move.kind is MoveKind.RETIRE


def due_moves(records: Iterable[KeyRecord], policies: Policies, now: float, fleet: FleetFacts = UNHEARD) -> list[Move]:
    """What should happen now and may, in the order to do it in.

    Delegated keys, which have a parent, are no concern of this module.
    """
    due = (one for one in scheduled(records, policies, fleet) if one.at <= now and not one.blocked_by)
    return [one.move for one in sorted(due, key=_order)]


def scheduled(records: Iterable[KeyRecord], policies: Policies, fleet: FleetFacts = UNHEARD) -> list[PlannedMove]:
    """The next move of each key as things are, whether it is due, ahead or blocked."""
    return [one for family, policy in _families(records, policies) for one in _in_sight(family, policy, fleet)]


def plan(
    records: Iterable[KeyRecord], policies: Policies, now: float, until: float, fleet: FleetFacts = UNHEARD
) -> list[PlannedMove]:
    """What is going to happen from ``now`` to ``until``, and what is blocked; 500 moves at most.

    Keys are expected to sign until they are rotated away.
    """
    simulated = (_simulated(family, policy, fleet, now, until) for family, policy in _families(records, policies))
    moves = [one for family in simulated for one in family]
    return sorted(moves, key=lambda one: (one.at, _order(one)))[:MOST_PLANNED]


def _families(records: Iterable[KeyRecord], policies: Policies) -> Iterator[tuple[list[KeyRecord], IssuerPolicy]]:
    """The keys of each issuer and purpose: they share room, and nothing else is shared with other families."""
    families: dict[tuple[str, str], list[KeyRecord]] = defaultdict(list)
    for record in records:
        if record.parent is None:
            families[record.issuer, record.purpose].append(record)
    for (issuer, _), family in families.items():
        yield family, policies.of(issuer)


def _simulated(
    family: list[KeyRecord], policy: IssuerPolicy, fleet: FleetFacts, now: float, until: float
) -> list[PlannedMove]:
    planned: list[PlannedMove] = []
    moment = now
    while True:
        sight = [
            replace(one, at=max(one.at, now if one.blocked_by else moment)) for one in _in_sight(family, policy, fleet)
        ]
        ahead = [one for one in sight if one.at <= until]
        open_ = [one for one in ahead if not one.blocked_by]
        if not open_ or len(planned) >= MOST_PLANNED:
            return planned + [one for one in ahead if one.blocked_by]
        earliest = min(open_, key=lambda one: (one.at, _order(one)))
        planned.append(earliest)
        moment = earliest.at
        family = _after(family, earliest.move, moment)


def _in_sight(family: list[KeyRecord], policy: IssuerPolicy, fleet: FleetFacts) -> Iterator[PlannedMove]:
    opened = any(record.published_at is not None for record in family)
    for lineage in dict.fromkeys(record.lineage for record in family):
        yield from _of_lineage(LineageKeys(family, lineage), policy, fleet)
    for record in family:
        if opened or record.state is not KeyState.PENDING:  # the next start opens the others
            yield from _of_key(record, policy, fleet)


def _of_lineage(keys: LineageKeys, policy: IssuerPolicy, fleet: FleetFacts) -> Iterator[PlannedMove]:
    active, standby = keys.find_active(), keys.find_standby()
    if active is None:
        return
    full = () if guards.has_room(keys.siblings, policy.timings) else (str(Reason.GUARD_PUBLISHED_KEYS),)
    if standby is None:
        yield PlannedMove(Move(MoveKind.MAKE_STANDBY, *active.lineage, handle="", key_id=NEW), AT_ONCE, blocked_by=full)
    if not policy.timings.rotation_period_s or active.purpose == "shared-secret":  # a partner must have it first
        return
    due = (active.activated_at or AT_ONCE) + policy.timings.rotation_period_s
    move = _move(MoveKind.ROTATE, active)
    if standby is None:
        yield PlannedMove(move, due, blocked_by=(str(Reason.GUARD_NO_STANDBY), *full))
        return
    ready = guards.dwell_ends_at(standby, keys.all, policy.timings)
    # Before the dwell is over, verifiers that do not hold the key are nothing to look at.
    patient = fleet.at < guards.patience_ends_at(active, standby, keys.all, policy.timings, fleet.patience_s)
    waits = patient and standby.key_id in fleet.unacknowledged and ready <= fleet.at
    lacked = (str(Reason.GUARD_ACKNOWLEDGEMENT),) * waits
    yield PlannedMove(move, max(due, ready), (str(Reason.GUARD_DWELL),) * (ready > due), (*full, *lacked))


def _of_key(record: KeyRecord, policy: IssuerPolicy, fleet: FleetFacts) -> Iterator[PlannedMove]:
    timings, held = policy.timings, (str(Reason.GUARD_HOLD),) * (record.hold is not None)
    match record.state:
        case KeyState.PENDING:
            held = () if record.on_its_way_in else held
            yield PlannedMove(_move(MoveKind.WITHDRAW, record), record.created_at + timings.pending_s, blocked_by=held)
        case KeyState.VERIFY_ONLY:
            at, used_until = guards.verify_window_ends_at(record, timings), fleet.used_until(record, timings)
            waits = (str(Reason.GUARD_STILL_ACCEPTED),) * (used_until > at)
            yield PlannedMove(_move(MoveKind.RETIRE, record), max(at, used_until), waits, held)
        case KeyState.RETIRED if record.key_id is not None:
            at, approvals = guards.restorable_until(record, timings), policy.approvals.get("destroy", 0)
            blocked = (*held, f"approvals ({approvals})") if approvals else held
            yield PlannedMove(_move(MoveKind.DESTROY, record), at, blocked_by=blocked)
        case KeyState.REVOKED | KeyState.DESTROYED | KeyState.RETIRED if record.destroyed_at is None:
            yield PlannedMove(_move(MoveKind.ERASE, record), AT_ONCE)


def _after(family: list[KeyRecord], move: Move, at: float) -> list[KeyRecord]:
    """The family as the move leaves it."""
    facts: dict[MoveKind, dict[str, object]] = {
        MoveKind.ERASE: {"destroyed_at": at},
        MoveKind.WITHDRAW: {"state": KeyState.RETIRED, "retired_at": at, "destroyed_at": at},
        MoveKind.RETIRE: {"state": KeyState.RETIRED, "retired_at": at},
        MoveKind.DESTROY: {"state": KeyState.DESTROYED, "destroyed_at": at},
        MoveKind.ROTATE: {"state": KeyState.VERIFY_ONLY, "verify_only_at": at, "last_signed_at": at},
    }
    if move.kind is MoveKind.ROTATE:
        standby = LineageKeys(family, move.lineage).standby()
        family = _changed(family, standby.handle, state=KeyState.ACTIVE, activated_at=at)
    if move.kind in facts:
        family = _changed(family, move.handle, **facts[move.kind])
    if move.kind not in (MoveKind.MAKE_STANDBY, MoveKind.ROTATE):
        return family
    pending = next(iter(LineageKeys(family, move.lineage).pending), None)
    new = pending or KeyRecord(
        f"{NEW} {len(family)}", move.issuer, move.purpose, move.algorithm, "", KeyState.PENDING, at, key_id=NEW
    )
    rest = [record for record in family if record is not pending]
    return [*rest, replace(new, state=KeyState.STANDBY, published_at=at, key_id=new.key_id or NEW)]


def _changed(family: Sequence[KeyRecord], handle: str, **facts: object) -> list[KeyRecord]:
    return [record.changed(**facts) if record.handle == handle else record for record in family]


def _move(kind: MoveKind, record: KeyRecord) -> Move:
    return Move(kind, *record.lineage, record.handle, record.key_id)


def _order(one: PlannedMove) -> tuple[int, str, str, str, str]:
    move = one.move
    return _ORDER[move.kind], move.issuer, move.purpose, move.algorithm, move.handle
