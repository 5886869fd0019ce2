"""Orphans are found and left alone."""

from __future__ import annotations

from dataclasses import replace

from world import WHO, World

from sealwright.keys.catalog import Replace
from sealwright.keys.orphans import BackendOrphans, find_orphans
from sealwright.keys.states import KeyState


def orphans(world: World) -> BackendOrphans:
    (found,) = find_orphans(world.stored, {"local": world.backend})
    return found


def test_a_sound_world_has_none_in_any_state(world: World) -> None:
    world.clock.advance(1)
    old = str(world.keys.rotate("default", **WHO).previous.key_id)
    world.keys.retire(old, actor="tester", reason="drill", force=True)
    world.keys.create("default", **WHO)
    world.keys.revoke(str(world.one(KeyState.STANDBY).key_id), **WHO)
    assert orphans(world) == BackendOrphans("local")


def test_a_key_that_no_record_knows_is_found_and_stays(world: World) -> None:
    world.held.generate("f" * 32, "ES256")
    assert orphans(world).unknown == ("f" * 32,)
    assert world.held.find("f" * 32) is not None


def test_a_record_whose_key_is_gone_is_found(world: World) -> None:
    active = world.one(KeyState.ACTIVE)
    world.held.destroy(active.handle)
    assert [record.key_id for record in orphans(world).missing] == [active.key_id]


def test_a_key_that_is_made_while_the_backend_is_asked_is_no_orphan(world: World) -> None:
    world.backend._calls = {"handles"}
    world.backend.after_call = lambda: (world.mend(), world.keys.create("default", **WHO))
    assert orphans(world) == BackendOrphans("local")


def test_a_backend_that_cannot_be_asked_says_so_and_accuses_nobody(world: World) -> None:
    world.backend._calls = {"handles"}
    world.fail_backend()
    assert orphans(world) == BackendOrphans("local", failed="backend.failed")


def test_the_keys_of_delegates_are_elsewhere(world: World) -> None:
    standby = world.one(KeyState.STANDBY)
    child = replace(standby, parent="voucher", generation=standby.generation + 1)
    world.stored.commit([Replace(child)], next(iter(world.stored.audit())))
    world.held.destroy(standby.handle)
    assert orphans(world).missing == ()
