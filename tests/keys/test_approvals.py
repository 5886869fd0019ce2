"""Moves that other people must agree to: how many, who, for how long, and exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from world import Death, World

import sealwright as sw
from sealwright.events import BreakGlassUsed
from sealwright.keys.approvals import KEPT_S, KIND, LIFETIME_S
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.states import KeyState

ALICE = {"actor": "alice", "reason": "drill"}
ALL = {"force": 1, "destroy": 2, "emergency": 1, "revoke": 1, "restore": 1}
Refuses = Callable[..., sw.RefusedError]


@pytest.fixture
def strict() -> World:
    return World(approvals=ALL).opened()


def retired(world: World) -> str:
    """A key that signed, retired when that was due."""
    key_id = str(world.one(KeyState.ACTIVE).key_id)
    world.keys.rotate("default", **ALICE)
    world.clock.advance(world.timings.verify_window_s + 1)
    world.keys.retire(key_id, **ALICE)
    return key_id


def the_request(world: World) -> str:
    (approval,) = [a for a in world.keys.approvals.all() if a.status(world.clock.now()) in ("open", "granted")]
    return approval.id


def forced_rotation(world: World, **named: Any) -> Any:
    world.clock.advance(1)
    return world.keys.rotate("default", **{**ALICE, "force": True, **named})


def rotated_once(world: World) -> None:
    """The first rotation needs no force; the next one comes too early."""
    world.clock.advance(1)
    world.keys.rotate("default", **ALICE)


def asked_to_force(world: World, refuses: Refuses) -> str:
    rotated_once(world)
    refuses("guard.approvals", forced_rotation, world)
    return the_request(world)


def test_a_refused_move_says_how_many_must_approve_and_names_the_request(strict: World, refuses: Refuses) -> None:
    key_id = retired(strict)
    strict.clock.advance(strict.timings.restorable_s)
    refused = refuses("guard.approvals", strict.keys.destroy, key_id, **ALICE)
    assert "2 other people and has 0" in refused.message
    assert the_request(strict) in refused.message
    assert strict.keys.find(key_id).state is KeyState.RETIRED


def test_a_move_that_overrides_no_guard_needs_no_approval_of_force(strict: World) -> None:
    forced_rotation(strict)
    assert strict.keys.approvals.all() == []


def test_the_same_request_again_is_the_same_request(strict: World, refuses: Refuses) -> None:
    approval = asked_to_force(strict, refuses)
    refuses("guard.approvals", forced_rotation, strict)
    assert the_request(strict) == approval


def test_an_approved_move_succeeds_once_and_its_audit_entry_names_the_approvers(
    strict: World, refuses: Refuses
) -> None:
    approval = asked_to_force(strict, refuses)
    strict.keys.approvals.grant(approval, actor="bob")
    rotation = forced_rotation(strict, approval=approval)
    entry = [entry for entry in strict.stored.audit() if entry.action == "key.rotated"][-1]
    assert entry.key_id in (rotation.active.key_id, rotation.previous.key_id)
    assert (entry.facts["approvals"], entry.facts["approval"]) == (["bob"], approval)
    assert entry.facts["forced"] == ["guard.dwell"]
    refuses("approval.ended", forced_rotation, strict, approval=approval)
    strict.check()


def test_neither_who_asked_nor_the_same_person_twice_approves(strict: World, refuses: Refuses) -> None:
    key_id = retired(strict)
    strict.clock.advance(strict.timings.restorable_s)
    refuses("guard.approvals", strict.keys.destroy, key_id, **ALICE)
    approval, approvals = the_request(strict), strict.keys.approvals
    refuses("approval.same_person", approvals.grant, approval, actor="alice")
    approvals.grant(approval, actor="bob")
    refuses("approval.same_person", approvals.grant, approval, actor="bob")
    refuses("guard.approvals", strict.keys.destroy, key_id, **ALICE, approval=approval)
    approvals.grant(approval, actor="carol")
    assert strict.keys.destroy(key_id, **ALICE, approval=approval).state is KeyState.DESTROYED


def test_the_owner_of_the_folder_is_one_person_by_whatever_way_they_come(strict: World, refuses: Refuses) -> None:
    rotated_once(strict)
    refuses("guard.approvals", forced_rotation, strict, actor="cli:root")
    refuses("approval.same_person", strict.keys.approvals.grant, the_request(strict), actor="operator")


@pytest.mark.parametrize(
    "changed", [{"actor": "mallory"}, {"reason": "something else"}], ids=["another caller", "another reason"]
)
def test_an_approval_is_good_for_just_the_move_that_was_shown(
    strict: World, refuses: Refuses, changed: dict[str, Any]
) -> None:
    approval = asked_to_force(strict, refuses)
    strict.keys.approvals.grant(approval, actor="bob")
    refuses("guard.approvals", forced_rotation, strict, approval=approval, **changed)
    standby = str(strict.one(KeyState.STANDBY).key_id)
    refuses("guard.approvals", strict.keys.revoke, standby, **ALICE, approval=approval)


def test_an_approval_expires(strict: World, refuses: Refuses) -> None:
    approval = asked_to_force(strict, refuses)
    strict.clock.advance(LIFETIME_S)
    refuses("approval.ended", strict.keys.approvals.grant, approval, actor="bob")


def test_a_granted_approval_expires_as_well(strict: World, refuses: Refuses) -> None:
    key_id = retired(strict)
    refuses("guard.approvals", strict.keys.restore, key_id, **ALICE)
    approval = the_request(strict)
    strict.keys.approvals.grant(approval, actor="bob")
    strict.clock.advance(LIFETIME_S)
    refuses("approval.ended", strict.keys.restore, key_id, **ALICE, approval=approval)


def test_a_denied_request_is_over_even_when_it_was_granted(strict: World, refuses: Refuses) -> None:
    approval = asked_to_force(strict, refuses)
    strict.keys.approvals.grant(approval, actor="bob")
    strict.keys.approvals.deny(approval, actor="carol", reason="not today")
    refuses("approval.ended", forced_rotation, strict, approval=approval)
    refuses("approval.unknown", strict.keys.approvals.grant, "nope", actor="bob")


def test_requests_that_ended_long_ago_make_room(strict: World, refuses: Refuses) -> None:
    asked_to_force(strict, refuses)
    strict.clock.advance(LIFETIME_S + KEPT_S)
    refuses("guard.approvals", strict.keys.emergency_rotate, "default", **ALICE)
    assert len(strict.stored.documents(KIND)) == 1


def test_every_step_is_audited(strict: World, refuses: Refuses) -> None:
    approval = asked_to_force(strict, refuses)
    strict.keys.approvals.grant(approval, actor="bob")
    told = [(e.action, e.actor, e.facts["approval"]) for e in strict.stored.audit() if e.action.startswith("approval.")]
    assert told == [("approval.requested", "alice", approval), ("approval.granted", "bob", approval)]


def test_revoke_restore_and_emergency_ask_as_well(strict: World, refuses: Refuses) -> None:
    key_id = retired(strict)
    moves: list[Callable[..., Any]] = [
        lambda **named: strict.keys.restore(key_id, **named),
        lambda **named: strict.keys.revoke(key_id, **named),
        lambda **named: strict.keys.emergency_rotate("default", **named),
    ]
    for move in moves:
        refuses("guard.approvals", move, **ALICE)
        approval = the_request(strict)
        strict.keys.approvals.grant(approval, actor="bob")
        move(**ALICE, approval=approval)
        assert [a.used_at for a in strict.keys.approvals.all() if a.id == approval] == [strict.clock.now()]
    strict.check()


def test_without_a_policy_nothing_waits_for_other_people(world: World) -> None:
    forced_rotation(world)
    forced_rotation(world)
    world.keys.emergency_rotate("default", **ALICE)
    assert world.keys.approvals.all() == []


def test_break_glass_asks_nobody_and_stands_out(strict: World) -> None:
    strict.keys.emergency_rotate("default", **ALICE, break_glass=True)
    entry = [entry for entry in strict.stored.audit() if entry.action == "key.emergency_rotated"][-1]
    assert entry.facts["break_glass"] is True
    assert [event for event in strict.events if isinstance(event, BreakGlassUsed)] == [
        BreakGlassUsed("default", "alice", "drill")
    ]


def test_two_callers_use_one_approval_once(tmp_path: Path, refuses: Refuses) -> None:
    catalog = SqlCatalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    try:
        world = World(catalog, approvals=ALL).opened()
        refuses("guard.approvals", world.keys.emergency_rotate, "default", **ALICE)
        approval = the_request(world)
        world.keys.approvals.grant(approval, actor="bob")
        answers: list[str] = []
        together = threading.Barrier(8)

        def use() -> None:
            together.wait()
            try:
                world.keys.emergency_rotate("default", **ALICE, approval=approval)
                answers.append("done")
            except sw.RefusedError as refused:
                answers.append(str(refused.reason))

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(set(answers)) == ["approval.ended", "done"]
        assert answers.count("done") == 1
        assert world.states().count("revoked") == 1
        world.check()
    finally:
        catalog.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("verb", ["force", "emergency"])
def test_a_death_between_grant_and_use_neither_loses_nor_doubles_the_approval(
    verb: str, after: bool, refuses: Refuses
) -> None:
    survived = [_die_using(verb, number, after, refuses) for number in range(1, 12)]
    assert survived[0]
    assert not survived[-1]


def _die_using(verb: str, number: int, after: bool, refuses: Refuses) -> bool:
    world = World(approvals=ALL).opened()
    rotated_once(world)
    move = {"force": forced_rotation, "emergency": lambda w, **n: w.keys.emergency_rotate("default", **ALICE, **n)}[
        verb
    ]
    refuses("guard.approvals", move, world)
    approval = the_request(world)
    world.keys.approvals.grant(approval, actor="bob")
    before = world.one(KeyState.ACTIVE).key_id
    world.die_at(number, after=after)
    died = False
    try:
        move(world, approval=approval)
    except Death:
        died = True
    world.mend()
    world.start().recover(actor="sealwright")
    moved = world.one(KeyState.ACTIVE).key_id != before
    (found,) = world.keys.approvals.all()
    assert (found.used_at is not None) == moved  # both or neither
    if not moved:
        move(world, approval=approval)
    refuses("approval.ended", move, world, approval=approval)
    world.check()
    return died
