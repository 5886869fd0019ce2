"""An emergency is one transaction that waits for nobody: not for a turn, not for a backend that hangs."""

from __future__ import annotations

import threading
import time

import pytest
from world import WHO, World

import sealwright as sw
from sealwright.keys.catalog import Insert
from sealwright.keys.emergency import CANARY_AUDIENCE
from sealwright.keys.history import archived_keys, revoked_keys
from sealwright.keys.record import KeyRecord
from sealwright.keys.standbys import turn_of
from sealwright.keys.states import KeyState


def with_child(world: World, parent: KeyRecord, number: int, state: KeyState) -> KeyRecord:
    """A delegated key that the parent vouches for."""
    handle = f"{number:032x}"
    public = world.held.generate(handle, "Ed25519")
    facts = {"key_id": public.key_id, "public": public.to_dict(), "parent": parent.key_id}
    record = KeyRecord(handle, "default", "delegated", "Ed25519", "local", state, world.clock.now(), **facts)
    world.keys._journal.write("key.delegated", [Insert(record)], "tester", "test")
    return record


def test_the_canary_is_a_token_of_the_leaked_key_that_verified_until_then() -> None:
    world = World().opened()
    done = world.keys.emergency_rotate("default", **WHO)
    token = str(done.previous.canary)
    jws = sw.verify_signature(token, done.previous.public_key())
    assert jws.json()["aud"] == CANARY_AUDIENCE
    assert jws.key_id == done.previous.key_id
    assert world.keys.find(str(done.previous.key_id)).canary == token


def test_a_backend_that_hangs_or_fails_costs_the_canary_and_nothing_else() -> None:
    world = World().opened()
    answered = threading.Event()
    world.backend.before_call = lambda: answered.wait(5) and None
    began = time.monotonic()
    leaked = world.one(KeyState.ACTIVE)
    thread = threading.Thread(target=world.keys.emergency_rotate, args=("default",), kwargs=WHO)
    thread.start()
    while world.keys.find(str(leaked.key_id)).state is not KeyState.REVOKED:
        assert time.monotonic() - began < 4, "the emergency waited for the backend"
        time.sleep(0.01)
    assert world.keys.find(str(leaked.key_id)).canary is None
    answered.set()
    thread.join()
    world.check()


def test_an_emergency_does_not_wait_for_a_rotation_that_hangs() -> None:
    world = World().opened()
    with world.stored.turn(turn_of("default")):  # somebody is making a key and does not come back
        done: list[object] = []
        began = time.monotonic()
        thread = threading.Thread(
            target=lambda: done.append(world.keys.emergency_rotate("default", **WHO)), daemon=True
        )
        thread.start()
        while len(world.revoked_ids()) == 0:
            assert time.monotonic() - began < 4
            time.sleep(0.01)
        assert world.signer.sign(b"{}", typ=None, actor="tester").key_id not in world.revoked_ids()
    thread.join(5)
    assert done
    assert world.one(KeyState.STANDBY)


def test_the_keys_that_a_leaked_key_vouched_for_are_revoked_with_it() -> None:
    world = World().opened()
    parent = world.one(KeyState.ACTIVE)
    states = (KeyState.ACTIVE, KeyState.STANDBY)
    children = [with_child(world, parent, number, state) for number, state in enumerate(states, 1)]
    done = world.keys.emergency_rotate("default", **WHO)
    assert {str(child.key_id) for child in children} | {str(done.previous.key_id)} == world.revoked_ids()


def test_a_key_without_a_standby_is_replaced_on_the_spot() -> None:
    world = World().opened()
    world.keys.retire(str(world.one(KeyState.STANDBY).key_id), **WHO)
    done = world.keys.emergency_rotate("default", **WHO)
    assert world.one(KeyState.ACTIVE) == done.active
    assert done.active.published_at == done.active.activated_at
    world.check()


def test_an_emergency_wins_against_rotations_that_come_between() -> None:
    world = World().opened()
    leaked = str(world.one(KeyState.ACTIVE).key_id)
    stolen = threading.Event()

    def rotate_once() -> None:
        if not stolen.is_set():
            stolen.set()
            world.catalog.before_call = lambda: None
            world.keys.rotate("default", force=True, actor="other", reason="at the same time")

    world.catalog.before_call = rotate_once
    with pytest.raises(sw.RefusedError) as caught:
        world.keys.emergency_rotate("default", key_id=leaked, **WHO)
    assert caught.value.reason == "move.illegal"  # it is not the active key any more: revoke says the same
    world.keys.revoke(leaked, **WHO)
    assert world.revoked_ids() == {leaked}
    world.check()


def test_what_the_world_may_know_of_old_keys() -> None:
    world = World().opened()
    first = world.one(KeyState.ACTIVE)
    world.clock.advance(90_000)
    world.keys.rotate("default", **WHO)
    rotated_at = world.clock.now()
    world.clock.advance(90_000)
    world.keys.retire(str(first.key_id), **WHO)
    leaked = world.keys.emergency_rotate("default", **WHO).previous
    unused = world.keys.revoke(str(world.one(KeyState.STANDBY).key_id), **WHO)
    records = world.stored.records()
    old, stolen = archived_keys(records, "default")
    assert (old.members["kid"], old.signed_from, old.signed_until) == (first.key_id, first.activated_at, rotated_at)
    assert old.revoked is None
    assert stolen.to_dict()["kid"] == leaked.key_id
    assert stolen.to_dict()["revoked"] == {"revoked_at": int(world.clock.now()), "reason": "compromised"}
    shown = {key.key_id: key.reason for key in revoked_keys(records, "default")}
    assert shown == {leaked.key_id: "compromised", unused.key_id: "unspecified"}
