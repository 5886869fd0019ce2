"""A process that dies at any call leaves a state that the next start understands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from world import WHO, Death, World

from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.sealing import Sealer
from sealwright.keys.states import KeyState

MOVES: dict[str, Callable[[World], object]] = {
    "rotate": lambda world: world.keys.rotate("default", **WHO),
    "emergency": lambda world: world.keys.emergency_rotate("default", **WHO),
    "revoke": lambda world: world.keys.revoke(str(world.one(KeyState.STANDBY).key_id), **WHO),
    "create": lambda world: world.keys.create("default", **WHO),
    "sign": lambda world: world.signer.sign(b"{}", typ=None, actor="tester"),
}
DEEPEST = 12


def survive(world: World, move: Callable[[World], object], number: int, *, after: bool) -> bool:
    """Whether the move was still under way at that call; the world is checked after a new start."""
    world.die_at(number, after=after)
    try:
        move(world)
        died = False
    except Death:
        died = True
    world.mend()
    world.start().recover(actor="sealwright")
    check_recovered(world)
    return died


def check_recovered(world: World) -> None:
    world.check()
    states = world.states()
    assert states.count("standby") == 1, states
    assert "pending" not in states
    world.signer.sign(b"{}", typ=None, actor="tester")
    for record in world.stored.records("default"):
        gone = record.state in (KeyState.REVOKED, KeyState.DESTROYED)
        assert (world.held.find(record.handle) is None) == gone or record.destroyed_at is not None
    assert world.start().recover(actor="sealwright") == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("move", MOVES)
def test_a_death_at_any_call_of_a_move_is_survived(move: str, after: bool) -> None:
    deaths = [survive(World().opened(), MOVES[move], number, after=after) for number in range(1, DEEPEST)]
    assert deaths[0]  # it really died
    assert not deaths[-1]  # and the last ones were past the end


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_while_an_issuer_is_opened_is_survived(after: bool) -> None:
    for number in range(1, 6):
        world = World()
        world.die_at(number, after=after)
        try:
            world.opened()
        except Death:
            world.mend()
            world.start().recover(actor="sealwright")
            if not world.stored.records("default"):  # it died before anything was journaled
                world.opened()
        world.mend()
        check_recovered(world)


@pytest.mark.parametrize("move", ["rotate", "emergency", "revoke"])
def test_the_same_holds_for_the_stores_that_are_used_in_earnest(move: str, tmp_path: Path) -> None:
    for number in range(1, 8):
        folder = tmp_path / str(number)
        folder.mkdir()
        catalog = SqlCatalog.open(f"sqlite:///{folder / 'catalog.db'}")
        try:
            world = World(catalog, LocalBackend(folder / "keys", Sealer.fixed(b"k" * 32)))
            survive(world.opened(), MOVES[move], number, after=number % 2 == 0)
        finally:
            catalog.close()
