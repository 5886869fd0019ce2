"""What is due and what is planned, without any store; and that a plan carried out is what was planned."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from world import WHO, World

from sealwright.errors import RefusedError
from sealwright.events import KeyMoved
from sealwright.keys.policy import FixedPolicies, IssuerPolicy
from sealwright.keys.rotation import NEW, MoveKind, due_moves, plan, scheduled
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings

DAY = 86_400.0
BY_HAND = KeyTimings(rotation_period_s=0)


def due(world: World) -> list[tuple[str, str | None]]:
    return [
        (str(move.kind), move.key_id) for move in due_moves(world.stored.records(), world.policies, world.clock.now())
    ]


def planned(world: World, for_s: float) -> list[Any]:
    now = world.clock.now()
    return plan(world.stored.records(), world.policies, now, now + for_s)


def test_a_new_issuer_has_nothing_due_and_rotates_after_its_period(world: World) -> None:
    active = world.one(KeyState.ACTIVE).key_id
    world.clock.advance(30 * DAY - 1)
    assert due(world) == []
    world.clock.advance(1)
    assert due(world) == [("rotate", active)]


def test_a_period_of_zero_leaves_rotation_to_people() -> None:
    world = World(timings=BY_HAND).opened()
    world.clock.advance(400 * DAY)
    assert due(world) == []
    assert planned(world, 400 * DAY) == []


def test_a_rotation_waits_for_the_dwell_of_its_standby() -> None:
    world = World(timings=KeyTimings(rotation_period_s=60)).opened()
    world.clock.advance(60)
    world.scheduler.tick()
    world.scheduler.tick()
    world.clock.advance(60)
    assert due(world) == []
    (rotation,) = [one for one in scheduled(world.stored.records(), world.policies) if one.move.kind is MoveKind.ROTATE]
    assert rotation.waits_for == ("guard.dwell",)
    assert rotation.at == world.clock.now() - 60 + world.timings.standby_dwell_s


def test_a_missing_standby_is_made_and_blocks_the_rotation_until_then(world: World) -> None:
    world.keys.retire(str(world.one(KeyState.STANDBY).key_id), **WHO)
    world.clock.advance(30 * DAY)
    assert due(world)[-1] == ("make_standby", NEW)
    blocked = {one.move.kind: one.blocked_by for one in scheduled(world.stored.records(), world.policies)}
    assert blocked[MoveKind.ROTATE] == ("guard.no_standby",)
    moves = [one for one in planned(world, DAY) if one.move.kind in (MoveKind.MAKE_STANDBY, MoveKind.ROTATE)]
    assert [(one.move.kind, one.at - world.clock.now(), one.waits_for) for one in moves] == [
        (MoveKind.MAKE_STANDBY, 0, ()),
        (MoveKind.ROTATE, world.timings.standby_dwell_s, ("guard.dwell",)),
    ]


def test_a_held_key_is_planned_as_blocked_and_never_due(world: World) -> None:
    world.clock.advance(1)
    old = str(world.keys.rotate("default", **WHO).previous.key_id)
    world.keys.hold(old, actor="tester", reason="evidence")
    world.clock.advance(2 * DAY)
    assert due(world) == []
    (blocked,) = planned(world, DAY)
    assert (blocked.move.kind, blocked.blocked_by) == (MoveKind.RETIRE, ("guard.hold",))


def test_a_destruction_that_needs_approvals_is_left_to_people(world: World) -> None:
    world.clock.advance(1)
    old = str(world.keys.rotate("default", **WHO).previous.key_id)
    world.keys.retire(old, actor="tester", reason="drill", force=True)
    world.clock.advance(31 * DAY)
    assert ("destroy", old) in due(world)
    world.policies = FixedPolicies(IssuerPolicy(approvals={"destroy": 2}))
    assert ("destroy", old) not in due(world)
    assert [one.blocked_by for one in planned(world, DAY) if one.move.kind is MoveKind.DESTROY] == [("approvals (2)",)]


def test_a_full_set_blocks_new_keys_until_an_old_one_is_retired() -> None:
    world = World(timings=KeyTimings(published_keys=3, rotation_period_s=3600)).opened()
    world.steady()
    assert [record.state for record in world.stored.records()].count(KeyState.VERIFY_ONLY) == 1
    world.clock.advance(3600)
    assert due(world) == []
    blocked = [one for one in planned(world, 60) if one.blocked_by]
    assert [one.blocked_by for one in blocked] == [("guard.published_keys",)]
    assert [str(one.move.kind) for one in planned(world, DAY)][:2] == ["retire", "rotate"]


def test_a_pending_key_that_nobody_published_is_withdrawn_after_two_days(world: World) -> None:
    made = world.keys.create("default", **WHO)
    world.clock.advance(2 * DAY - 1)
    assert due(world) == []
    world.clock.advance(1)
    assert due(world) == [("withdraw", made.key_id)]


def test_keys_of_an_issuer_that_a_crash_left_unopened_wait_for_the_next_start(world: World) -> None:
    unpublished = {"state": KeyState.PENDING, "published_at": None}
    pending = [replace(record, **unpublished) for record in world.stored.records()]
    assert due_moves(pending, world.policies, world.clock.now() + 400 * DAY) == []


def test_a_destruction_that_was_decided_and_not_done_is_due_at_once(world: World) -> None:
    world.fail_backend()
    world.keys.revoke(str(world.one(KeyState.STANDBY).key_id), **WHO)
    assert [kind for kind, _ in due(world)] == ["erase", "make_standby"]


def test_delegated_keys_are_left_alone(world: World) -> None:
    children = [replace(record, parent="voucher") for record in world.stored.records()]
    assert scheduled(children, world.policies) == []


def test_the_trust_root_and_each_algorithm_rotate_for_themselves(world: World) -> None:
    world.keys.open_issuer("default", algorithm="ES256", purpose="trust-root", **WHO)
    world.clock.advance(DAY)
    world.add_algorithm("ES256")
    moves = [one.move for one in planned(world, 31 * DAY) if one.move.kind is MoveKind.ROTATE]
    assert {(move.purpose, move.algorithm) for move in moves} == {
        ("token", "Ed25519"),
        ("token", "ES256"),
        ("trust-root", "ES256"),
    }


def test_a_plan_of_very_short_periods_stays_bounded() -> None:
    world = World(timings=KeyTimings(rotation_period_s=0.001, jwks_max_age_s=0, worst_consumer_cache_s=0)).opened()
    assert len(planned(world, 400 * DAY)) <= 500


periods = st.sampled_from([0.0, 7200.0, DAY, 30 * DAY])
floors = st.sampled_from([3600.0, DAY])


@settings(max_examples=settings().max_examples // 4)
@given(data=st.data(), period=periods, floor=floors, restorable=st.sampled_from([7200.0, 3 * DAY]))
def test_a_plan_that_is_carried_out_tick_by_tick_makes_just_the_planned_moves(
    data: st.DataObject, period: float, floor: float, restorable: float
) -> None:
    timings = KeyTimings(
        rotation_period_s=period, verify_window_floor_s=floor, restorable_s=restorable, published_keys=5
    )
    world = World(timings=timings).opened()
    world.keys.open_issuer("other", algorithm="ES256", purpose="trust-root", **WHO)
    world.add_algorithm("ES256")
    for move in data.draw(st.lists(st.sampled_from(["rotate", "create", "revoke", "retire"]), max_size=3)):
        world.clock.advance(1)
        with contextlib.suppress(RefusedError):
            _disturb(world, move)
    world.steady()
    expected = [one for one in planned(world, 6 * DAY) if not one.blocked_by]
    if len(expected) > 20:
        expected = [one for one in expected if one.at < expected[20].at]
    for at in sorted({one.at for one in expected}):
        if at - 1 > world.clock.now():
            assert _made_at(world, at - 1) == []
        assert _made_at(world, at) == sorted(_as_moved(one) for one in expected if one.at == at)


def _made_at(world: World, at: float) -> list[tuple[str, str, str]]:
    """What a tick at that time does."""
    world.clock.advance(at - world.clock.now())
    _sign_with_every_active_key(world)
    world.events.clear()
    assert world.scheduler.tick() == "done"
    return _made(world)


def _disturb(world: World, move: str) -> None:
    standbys = [r.key_id for r in world.stored.records("default") if r.state is KeyState.STANDBY]
    how: dict[str, Any] = {"actor": "tester", "reason": "drill"}
    if move == "rotate":
        world.keys.rotate("default", algorithm="Ed25519", force=True, **how)
    elif move == "create":
        world.keys.create("default", algorithm="ES256", **how)
    elif standbys:
        getattr(world.keys, move)(str(standbys[0]), **how)


def _sign_with_every_active_key(world: World) -> None:
    """The plan expects that keys sign until they are rotated away."""
    for record in world.stored.records():
        if record.state is KeyState.ACTIVE:
            world.stored.record_signatures(
                record, next(iter(replace(e, at=world.clock.now()) for e in world.stored.audit()))
            )


def _made(world: World) -> list[tuple[str, str, str]]:
    """The standby that a rotation brings is part of it."""
    names = {"active": "rotate", "retired": "retire", "destroyed": "destroy", "standby": "make_standby"}
    moved = [event for event in world.events if isinstance(event, KeyMoved) and event.after in names]
    withdrawn = [one for one in moved if (one.before, one.after) == ("pending", "retired")]
    made = Counter((names[one.after], one.issuer, one.algorithm) for one in moved if one not in withdrawn)
    made += Counter(("withdraw", one.issuer, one.algorithm) for one in withdrawn)
    made -= Counter(("make_standby", *of) for (kind, *of), n in made.items() if kind == "rotate" for _ in range(n))
    return sorted(made.elements())


def _as_moved(one: Any) -> tuple[str, str, str]:
    return str(one.move.kind), one.move.issuer, one.move.algorithm
