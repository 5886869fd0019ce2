"""Each guard by its name, with what would satisfy it, and that then it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from world import WHO, World

import sealwright as sw
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings

FORCED = {"actor": "tester", "reason": "drill", "force": True}
Refuses = Callable[..., sw.RefusedError]


def kid(world: World, state: KeyState) -> str:
    return str(world.one(state).key_id)


def rotated(world: World) -> World:
    world.clock.advance(1)
    world.keys.rotate("default", **WHO)
    return world


def test_dwell_is_satisfied_when_every_verifier_can_know_the_standby(world: World, refuses: Refuses) -> None:
    rotated(world)
    world.clock.advance(60)
    refused = refuses("guard.dwell", world.keys.rotate, "default", **WHO)
    assert "wait 1500 s, until 2023-11-14T22:39:21Z, or use --force with a --reason" in refused.message
    world.clock.advance(1500)
    world.keys.rotate("default", **WHO)


def test_a_standby_made_in_an_emergency_must_dwell_like_any_other(world: World, refuses: Refuses) -> None:
    world.keys.retire(kid(world, KeyState.STANDBY), **WHO)
    world.clock.advance(1)
    world.keys.emergency_rotate("default", **WHO)
    refuses("guard.dwell", world.keys.rotate, "default", **WHO)


def test_verify_window_is_satisfied_when_the_last_token_has_expired_everywhere(world: World, refuses: Refuses) -> None:
    old = kid(rotated(world), KeyState.VERIFY_ONLY)
    refused = refuses("guard.verify_window", world.keys.retire, old, **WHO)
    assert "wait 86400 s, until 2023-11-15T22:13:21Z, or use --force with a --reason" in refused.message
    world.clock.advance(86_400)
    world.keys.retire(old, **WHO)


def test_verify_window_begins_anew_when_a_key_is_restored(world: World, refuses: Refuses) -> None:
    old = kid(rotated(world), KeyState.VERIFY_ONLY)
    world.clock.advance(86_400)
    world.keys.retire(old, **WHO)
    world.keys.restore(old, **WHO)
    refuses("guard.verify_window", world.keys.retire, old, **WHO)


def test_restorable_keeps_the_private_half_for_thirty_days(world: World, refuses: Refuses) -> None:
    old = kid(rotated(world), KeyState.VERIFY_ONLY)
    world.keys.retire(old, **FORCED)
    refused = refuses("guard.restorable", world.keys.destroy, old, **WHO)
    assert "wait 2592000 s, until 2023-12-14T22:13:21Z, or use --force with a --reason" in refused.message
    world.clock.advance(30 * 86_400)
    refuses("guard.restorable", world.keys.restore, old, **WHO)
    world.keys.destroy(old, **WHO)


@pytest.mark.parametrize("force", [False, True])
def test_hold_beats_time_and_force_until_it_is_released(world: World, refuses: Refuses, force: bool) -> None:
    old = kid(rotated(world), KeyState.VERIFY_ONLY)
    world.keys.hold(old, actor="tester", reason="court order 12")
    world.clock.advance(86_400)
    how = {"actor": "tester", "reason": "drill", "force": force}
    refused = refuses("guard.hold", world.keys.retire, old, **how)
    assert refused.message == "the key is on hold (court order 12): keys release ends that"
    world.keys.release(old, **WHO)
    world.keys.retire(old, **how)
    world.keys.hold(old, actor="tester", reason="court order 13")
    world.clock.advance(30 * 86_400)
    refuses("guard.hold", world.keys.destroy, old, **how)
    assert world.one(KeyState.RETIRED).hold == "court order 13"


def test_a_hold_needs_a_reason_of_its_own(world: World, refuses: Refuses) -> None:
    refuses("move.reason_missing", world.keys.hold, kid(world, KeyState.ACTIVE), actor="tester", reason="routine")


def test_active_key_names_the_move_that_is_meant(world: World, refuses: Refuses) -> None:
    active = kid(world, KeyState.ACTIVE)
    assert "use rotate first" in refuses("guard.active_key", world.keys.retire, active, **FORCED).message
    assert "use emergency-rotate" in refuses("guard.active_key", world.keys.revoke, active, **WHO).message


def test_standby_exists_is_satisfied_by_a_rotation(world: World, refuses: Refuses) -> None:
    made = world.keys.create("default", **WHO)
    refuses("guard.standby_exists", world.keys.publish, made.key_id, **WHO)
    rotated(world)  # which publishes the key that is there
    assert kid(world, KeyState.STANDBY) == made.key_id


def test_adding_a_standby_to_an_issuer_that_has_one_makes_nothing(world: World, refuses: Refuses) -> None:
    held, known = set(world.held.handles()), world.stored.records()
    refuses("guard.standby_exists", world.keys.add_standby, "default", **WHO)
    refuses("move.illegal", world.keys.add_standby, "default", algorithm="RS256", **WHO)
    assert (set(world.held.handles()), world.stored.records()) == (held, known)


def test_adding_a_standby_beyond_the_cap_makes_nothing(world: World, refuses: Refuses) -> None:
    world.fail_backend()
    world.keys.revoke(kid(world, KeyState.STANDBY), **WHO)
    world.mend()
    held, known = set(world.held.handles()), world.stored.records()
    full = World(world.stored, world.held, KeyTimings(published_keys=1), clock=world.clock)
    refuses("guard.published_keys", full.keys.add_standby, "default", **WHO)
    assert (set(world.held.handles()), world.stored.records()) == (held, known)
    left = next(record for record in known if record.state is KeyState.PENDING)
    assert world.keys.add_standby("default", **WHO).handle == left.handle


def test_no_standby_is_satisfied_by_keys_create(world: World, refuses: Refuses) -> None:
    world.keys.retire(kid(world, KeyState.STANDBY), **WHO)
    refused = refuses("guard.no_standby", world.keys.rotate, "default", **FORCED)
    assert "keys create makes one" in refused.message
    world.keys.publish(str(world.keys.create("default", **WHO).key_id), **WHO)
    world.keys.rotate("default", **FORCED)


def test_published_keys_is_satisfied_by_a_retirement(refuses: Refuses) -> None:
    world = World(timings=KeyTimings(published_keys=3)).opened()
    old = kid(rotated(world), KeyState.VERIFY_ONLY)
    refused = refuses("guard.published_keys", world.keys.rotate, "default", **FORCED)
    assert "publishes 3 keys already: retire those whose tokens have expired first" in refused.message
    world.keys.retire(old, **FORCED)
    world.keys.rotate("default", **FORCED)


def test_issuer_exists_and_no_active_key_say_so(world: World, refuses: Refuses) -> None:
    refuses("guard.issuer_exists", world.keys.open_issuer, "default", algorithm="ES256", **WHO)
    refuses("guard.no_active_key", world.keys.active, "default", algorithm="ES256")


def test_every_forced_guard_is_in_the_audit_by_its_name(world: World) -> None:
    old = kid(rotated(world), KeyState.VERIFY_ONLY)
    world.keys.rotate("default", **FORCED)
    world.keys.retire(old, **FORCED)
    world.keys.destroy(old, **FORCED)
    forced: list[Any] = [entry.facts["forced"] for entry in world.stored.audit() if "forced" in entry.facts]
    assert forced == [["guard.dwell"], ["guard.verify_window"], ["guard.restorable"]]
