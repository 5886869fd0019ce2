"""Keys that signed elsewhere come in under their old kid, and whoever knew them goes on."""

from __future__ import annotations

from typing import Any

import pytest
from world import WHO, Death, World

import sealwright as sw
from sealwright.keys.history import archived_keys
from sealwright.keys.importing import Newcomer
from sealwright.keys.states import KeyState


def old_key(kid: str = "2019-key", algorithm: str = "Ed25519") -> sw.PrivateJWK:
    return sw.PrivateJWK.generate(algorithm, key_id=kid)


def bring(world: World, newcomer: Newcomer, state: Any) -> Any:
    return world.keys.bring("default", newcomer, state, **WHO)


def reason_of(call: Any) -> str:
    with pytest.raises(sw.RefusedError) as caught:
        call()
    return str(caught.value.reason)


def test_a_new_issuer_signs_with_its_old_key_and_has_a_standby() -> None:
    world, key = World(), old_key()
    bring(world, Newcomer.private(key, "local"), "active")
    signed = world.signer.sign(b"{}", typ=None, actor="tester")
    assert signed.key_id == "2019-key"
    assert sw.verify_signature(signed.token, key.public).payload == b"{}"
    assert world.states() == ["active", "standby"]
    assert "2019-key" in world.published_ids()
    world.clock.advance(world.timings.standby_dwell_s)
    world.keys.rotate("default", **WHO)
    world.check()


def test_a_public_key_alone_verifies_what_is_under_way_and_is_archived_later() -> None:
    world, key = World().opened(), old_key()
    bring(world, Newcomer.public_only(key.public), "verify_only")
    assert "2019-key" in world.published_ids()
    world.clock.advance(world.timings.verify_window_s + 1)
    world.keys.retire("2019-key", **WHO)
    assert [shown.members["kid"] for shown in archived_keys(world.stored.records(), "default")] == ["2019-key"]
    world.clock.advance(world.timings.restorable_s)
    assert world.keys.destroy("2019-key", **WHO).state is KeyState.DESTROYED
    world.check()


def test_a_key_that_the_backend_holds_is_adopted_under_the_kid_that_verifiers_know() -> None:
    world = World()
    held = world.held.generate("ab" * 16, "ES256")
    bring(world, Newcomer.at_backend("ab" * 16, "ES256", "local", "kms-1"), "active")
    signed = world.signer.sign(b"{}", typ=None, actor="tester")
    assert signed.key_id == "kms-1"
    assert held.verify(*reversed(_parts(signed.token)))


def _parts(token: str) -> tuple[bytes, bytes]:
    signing_input, _, signature = token.rpartition(".")
    from sealwright.jose import base64url

    return signing_input.encode(), base64url.decode_text(signature)


def test_a_standby_from_outside_takes_its_place_in_the_queue() -> None:
    world = World().opened()
    world.keys.retire(str(world.one(KeyState.STANDBY).key_id), **WHO)
    world.clock.advance(1)
    bring(world, Newcomer.private(old_key(), "local"), "standby")
    assert reason_of(lambda: world.keys.rotate("default", **WHO)) == "guard.dwell"
    world.clock.advance(world.timings.standby_dwell_s)
    assert world.keys.rotate("default", **WHO).active.key_id == "2019-key"
    assert reason_of(lambda: bring(world, Newcomer.private(old_key("b"), "local"), "standby")) == "guard.standby_exists"


def test_what_does_not_fit_is_refused() -> None:
    world = World().opened()
    public = Newcomer.public_only(old_key().public)
    assert reason_of(lambda: bring(world, Newcomer.private(old_key(), "local"), "active")) == "guard.issuer_exists"
    assert reason_of(lambda: bring(World(), public, "active")) == "move.illegal"
    assert reason_of(lambda: bring(World(), public, "verify_only")) == "move.unknown_issuer"
    bring(world, public, "verify_only")
    assert reason_of(lambda: bring(world, public, "verify_only")) == "catalog.conflict"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_while_a_key_comes_in_is_survived_and_it_can_be_tried_again(after: bool) -> None:
    for number in range(1, 6):
        world, newcomer = World(), Newcomer.private(old_key(), "local")
        world.die_at(number, after=after)
        try:
            bring(world, newcomer, "active")
        except Death:
            world.mend()
            world.start().recover(actor="sealwright")
            if "active" not in world.states():
                bring(world, newcomer, "active")
        world.mend()
        world.start().recover(actor="sealwright")
        world.check()
        assert world.one(KeyState.ACTIVE).key_id == "2019-key"
        held = {record.handle for record in world.stored.records() if record.destroyed_at is None}
        assert set(world.held.handles()) <= held


def test_a_key_that_was_being_adopted_when_we_died_stays_at_its_backend() -> None:
    for number in range(1, 4):
        world = World()
        public = world.held.generate("ab" * 16, "ES256")
        world.die_at(number, after=True)
        try:
            bring(world, Newcomer.at_backend("ab" * 16, "ES256", "local", "kms-1"), "active")
        except Death:
            world.mend()
            world.start().recover(actor="sealwright")
        assert world.held.find("ab" * 16) == public
