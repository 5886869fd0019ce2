"""Every move, every guard, and what the audit says of them."""

from __future__ import annotations

from typing import Any

import pytest
from world import WHO, World

import sealwright as sw
from sealwright.events import KeyMoved
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings

DWELL_S, WINDOW_S = KeyTimings().standby_dwell_s, KeyTimings().verify_window_floor_s


def kid(world: World, state: KeyState) -> str:
    return str(world.one(state).key_id)


def rotated(world: World) -> World:
    world.clock.advance(1)
    world.keys.rotate("default", **WHO)
    return world


def test_the_timings_are_those_of_the_documentation() -> None:
    assert DWELL_S == 26 * 60
    assert WINDOW_S == 86_400
    assert KeyTimings().verify_tail_s == 900 + 60 + 1200 + 60


def test_a_new_issuer_has_an_active_and_a_standby_key_from_its_first_publication(world: World) -> None:
    active, standby = world.one(KeyState.ACTIVE), world.one(KeyState.STANDBY)
    assert active.published_at == standby.published_at == active.activated_at
    assert world.published_ids() == [active.key_id, standby.key_id]


def test_an_issuer_is_opened_once(world: World, refuses: Any) -> None:
    refuses("guard.issuer_exists", world.keys.open_issuer, "default", algorithm="ES256", **WHO)


def test_a_rotation_activates_the_standby_and_publishes_a_new_one(world: World) -> None:
    before_active, before_standby = kid(world, KeyState.ACTIVE), kid(world, KeyState.STANDBY)
    rotation = world.keys.rotate("default", **WHO)
    assert (rotation.active.key_id, rotation.previous.key_id) == (before_standby, before_active)
    assert rotation.previous.state is KeyState.VERIFY_ONLY
    assert rotation.standby is not None
    assert set(world.published_ids()) == {before_standby, rotation.standby.key_id, before_active}


def test_the_first_standby_needs_no_dwell_and_the_next_one_does(world: World, refuses: Any) -> None:
    rotated(world)
    error = refuses("guard.dwell", world.keys.rotate, "default", **WHO)
    assert "1560 s" in error.message
    world.clock.advance(DWELL_S - 1)
    refuses("guard.dwell", world.keys.rotate, "default", **WHO)
    rotated(world)


def test_a_clock_that_is_set_back_does_not_shorten_the_dwell(world: World, refuses: Any) -> None:
    world.clock.advance(-3600)
    rotated(world)
    refuses("guard.dwell", world.keys.rotate, "default", **WHO)


def test_a_guard_is_overridden_only_with_a_reason_and_the_audit_says_so(world: World, refuses: Any) -> None:
    rotated(world)
    for reason in ("", "  ", "routine"):
        refuses("move.reason_missing", world.keys.rotate, "default", actor="tester", reason=reason, force=True)
    world.keys.rotate("default", actor="tester", reason="drill", force=True)
    forced = [entry for entry in world.stored.audit() if entry.facts.get("forced")]
    assert [(entry.facts["forced"], entry.reason) for entry in forced] == [(["guard.dwell"], "drill")]


def test_a_key_is_retired_a_day_after_it_stopped_signing(world: World, refuses: Any) -> None:
    rotated(world)
    old = kid(world, KeyState.VERIFY_ONLY)
    world.clock.advance(WINDOW_S - 1)
    refuses("guard.verify_window", world.keys.retire, old, **WHO)
    world.clock.advance(1)
    assert world.keys.retire(old, **WHO).state is KeyState.RETIRED
    assert old not in world.published_ids()


def test_without_that_floor_the_last_signature_decides(refuses: Any) -> None:
    world = World(timings=KeyTimings(verify_window_floor_s=0)).opened()
    world.signer.sign(b"{}", typ=None, actor="tester")
    world.clock.advance(1000)
    rotated(world)
    old = kid(world, KeyState.VERIFY_ONLY)
    world.clock.advance(world.timings.verify_tail_s - 1002)
    refuses("guard.verify_window", world.keys.retire, old, **WHO)
    world.clock.advance(1)
    world.keys.retire(old, **WHO)


def test_a_retirement_can_be_undone_for_thirty_days(world: World, refuses: Any) -> None:
    rotated(world)
    old = kid(world, KeyState.VERIFY_ONLY)
    world.clock.advance(WINDOW_S)
    world.keys.retire(old, **WHO)
    assert world.keys.restore(old, **WHO).state is KeyState.VERIFY_ONLY
    assert old in world.published_ids()
    world.clock.advance(WINDOW_S)
    world.keys.retire(old, **WHO)
    refuses("guard.restorable", world.keys.destroy, old, **WHO)
    world.clock.advance(30 * 86_400)
    refuses("guard.restorable", world.keys.restore, old, **WHO)
    destroyed = world.keys.destroy(old, **WHO)
    assert (destroyed.state, destroyed.destroyed_at) == (KeyState.DESTROYED, world.clock.now())
    assert world.held.find(destroyed.handle) is None
    refuses("move.illegal", world.keys.restore, old, **WHO)


def test_the_active_key_is_neither_retired_nor_revoked(world: World, refuses: Any) -> None:
    active = kid(world, KeyState.ACTIVE)
    refuses("guard.active_key", world.keys.retire, active, **WHO, force=True)
    error = refuses("guard.active_key", world.keys.revoke, active, **WHO)
    assert "emergency-rotate" in error.message


def test_a_revoked_key_is_unpublished_for_ever_and_its_private_half_is_gone(world: World, refuses: Any) -> None:
    rotated(world)
    old = kid(world, KeyState.VERIFY_ONLY)
    revoked = world.keys.revoke(old, actor="tester", reason="leaked")
    assert (revoked.state, revoked.revoked_reason) == (KeyState.REVOKED, "leaked")
    assert revoked.destroyed_at is not None
    assert world.held.find(revoked.handle) is None
    assert world.revoked_ids() == {old}
    assert old not in world.published_ids()
    for move in (world.keys.restore, world.keys.activate, world.keys.retire, world.keys.destroy, world.keys.publish):
        refuses("move.illegal", move, old, **WHO)


def test_revoking_needs_a_reason(world: World, refuses: Any) -> None:
    refuses("move.reason_missing", world.keys.revoke, kid(world, KeyState.STANDBY), actor="tester", reason=" ")
    refuses("move.reason_missing", world.keys.emergency_rotate, "default", actor="tester", reason="")


def test_a_revoked_standby_is_replaced(world: World) -> None:
    old = kid(world, KeyState.STANDBY)
    world.keys.revoke(old, **WHO)
    assert kid(world, KeyState.STANDBY) != old


def test_an_emergency_is_one_transaction_and_waits_for_no_dwell(world: World) -> None:
    rotated(world)
    leaked, standby = kid(world, KeyState.ACTIVE), kid(world, KeyState.STANDBY)
    rotation = world.keys.emergency_rotate("default", actor="tester", reason="leaked")
    assert (rotation.active.key_id, rotation.previous.key_id) == (standby, leaked)
    assert rotation.standby is not None
    assert leaked in world.revoked_ids()
    assert world.held.find(rotation.previous.handle) is None
    (entry,) = [entry for entry in world.stored.audit() if entry.action == "key.emergency_rotated"]
    assert {state for _, state in entry.facts["keys"]} == {"active", "revoked"}


def test_an_emergency_without_a_standby_makes_one_on_the_spot(world: World) -> None:
    leaked = kid(world, KeyState.ACTIVE)
    world.keys.retire(kid(world, KeyState.STANDBY), **WHO)
    rotation = world.keys.emergency_rotate("default", actor="tester", reason="leaked")
    assert rotation.previous.key_id == leaked
    assert kid(world, KeyState.ACTIVE) == rotation.active.key_id


def test_an_emergency_names_the_key_it_means_or_is_refused(world: World, refuses: Any) -> None:
    refuses("move.illegal", world.keys.emergency_rotate, "default", key_id=kid(world, KeyState.STANDBY), **WHO)
    world.keys.emergency_rotate("default", key_id=kid(world, KeyState.ACTIVE), **WHO)


def test_an_emergency_is_done_even_when_the_backend_fails_after_it(world: World) -> None:
    leaked = world.one(KeyState.ACTIVE)
    world.fail_backend()
    rotation = world.keys.emergency_rotate("default", actor="tester", reason="leaked")
    assert rotation.standby is None
    assert leaked.key_id in world.revoked_ids()
    assert world.held.find(leaked.handle) is not None
    world.mend()
    world.start().recover(actor="tester")
    assert world.held.find(leaked.handle) is None
    assert world.one(KeyState.REVOKED).destroyed_at is not None
    world.check()
    assert world.states().count("standby") == 1


def test_created_keys_are_published_one_standby_at_a_time(world: World, refuses: Any) -> None:
    made = world.keys.create("default", **WHO)
    assert (made.state, made.key_id in world.published_ids()) == (KeyState.PENDING, False)
    refuses("guard.standby_exists", world.keys.publish, str(made.key_id), **WHO)
    world.keys.retire(kid(world, KeyState.STANDBY), **WHO)
    assert world.keys.publish(str(made.key_id), **WHO).state is KeyState.STANDBY
    refuses("move.illegal", world.keys.create, "default", algorithm="RS256", **WHO)


def test_an_issuer_never_publishes_more_keys_than_the_cap(refuses: Any) -> None:
    world = World(timings=KeyTimings(published_keys=3, jwks_max_age_s=0, worst_consumer_cache_s=0, replication_s=0))
    rotated(world.opened())
    refuses("guard.published_keys", world.keys.rotate, "default", **WHO)
    world.keys.retire(kid(world, KeyState.VERIFY_ONLY), **WHO, force=True)
    rotated(world)


def test_an_emergency_goes_over_the_cap(refuses: Any) -> None:
    world = World(timings=KeyTimings(published_keys=2)).opened()
    world.keys.retire(kid(world, KeyState.STANDBY), **WHO)
    world.keys.emergency_rotate("default", actor="tester", reason="leaked")
    world.check()


def test_unknown_keys_and_issuers_are_named_as_such(world: World, refuses: Any) -> None:
    refuses("move.unknown_key", world.keys.retire, "nobody", **WHO)
    refuses("move.unknown_issuer", world.keys.rotate, "nobody", **WHO)
    refuses("move.unknown_issuer", world.keys.active, "nobody")


def test_a_move_is_reported_after_it_was_written_and_never_when_it_was_not(world: World, refuses: Any) -> None:
    rotated(world)
    moves = [(e.before, e.after) for e in world.events if isinstance(e, KeyMoved)]
    assert ("active", "verify_only") in moves
    assert ("standby", "active") in moves
    world.events.clear()
    refuses("guard.dwell", world.keys.rotate, "default", **WHO)
    assert not [event for event in world.events if isinstance(event, KeyMoved)]


def test_a_broken_observer_changes_nothing() -> None:
    world = World()

    def broken(_: object) -> None:
        raise ZeroDivisionError

    world.observe = broken  # type: ignore[method-assign]
    world.opened().check()
    rotated(world).check()


def test_a_backend_that_fails_before_the_move_leaves_everything_as_it_was(world: World) -> None:
    before = world.states()
    world.keys.retire(kid(world, KeyState.STANDBY), **WHO)
    world.fail_backend()
    with pytest.raises(sw.BackendError):
        world.keys.create("default", **WHO)
    world.mend()
    world.start().recover(actor="tester")
    world.check()
    assert world.states().count("active") == before.count("active") == 1
