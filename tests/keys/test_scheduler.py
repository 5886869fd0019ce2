"""The scheduler makes what is due, contains what fails, and does not believe a clock at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from world import WHO, World

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import Reason, UnavailableError
from sealwright.events import SchedulerTicked
from sealwright.keys.scheduler import TURN, Chore, Scheduler
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings

DAY, YEAR = 86_400.0, 365 * 86_400.0


def active(world: World) -> str:
    return str(world.one(KeyState.ACTIVE).key_id)


def ticked(world: World, times: int = 1) -> list[str]:
    return [world.scheduler.tick() for _ in range(times)]


def run(world: World, seconds: float, step: float = 3600.0) -> World:
    """Time passes, and the scheduler ticks."""
    for _ in range(round(seconds / step)):
        world.clock.advance(step)
        world.scheduler.tick()
    return world


def audited(world: World, action: str) -> int:
    return sum(entry.action == action for entry in world.stored.audit())


def test_a_key_lives_its_whole_life_without_anybody(world: World) -> None:
    first = active(world)
    run(world.steady(), 30 * DAY)
    assert world.keys.find(first).state is KeyState.VERIFY_ONLY
    run(world, DAY)
    assert world.keys.find(first).state is KeyState.RETIRED
    run(world, 30 * DAY)
    assert world.keys.find(first).state is KeyState.DESTROYED
    assert world.held.find(world.keys.find(first).handle) is None
    assert audited(world, "key.rotated") == 2
    assert {entry.actor for entry in world.stored.audit() if entry.action == "key.rotated"} == {"scheduler"}
    assert world.failures() == []
    world.check()


def test_a_period_that_was_missed_by_a_week_rotates_once(world: World) -> None:
    world.clock.advance(37 * DAY)
    assert ticked(world, 4) == ["starting", "done", "done", "done"]
    assert audited(world, "key.rotated") == 1
    run(world, 29 * DAY)
    assert audited(world, "key.rotated") == 1


def test_a_restarted_scheduler_goes_on_where_the_other_ended(world: World) -> None:
    run(world.steady(), 29 * DAY)
    world.start().recover(actor="sealwright")
    run(world, DAY)
    run(world, DAY)
    assert audited(world, "key.rotated") == 1


def test_the_first_tick_and_the_one_after_a_jump_do_nothing(world: World) -> None:
    world.clock.advance(31 * DAY)
    assert ticked(world) == ["starting"]
    assert world.states() == ["active", "standby"]
    assert ticked(world) == ["done"]
    assert "verify_only" in world.states()
    world.clock.jump(31 * DAY)
    before = world.stored.version()
    assert ticked(world) == ["clock_jumped"]
    assert world.stored.version() == before


def test_a_clock_that_was_wrong_for_one_tick_moves_nothing(world: World) -> None:
    run(world.steady(), DAY)
    before = world.stored.version()
    for jump in (YEAR, -YEAR, -DAY, DAY):
        world.clock.jump(jump)
        assert ticked(world) == ["clock_jumped"]
    run(world, DAY)
    assert world.stored.version() == before


def test_no_key_is_destroyed_until_the_clock_has_been_steady_for_an_hour(world: World) -> None:
    first = active(world)
    run(world.steady(), 31 * DAY)
    assert world.keys.find(first).state is KeyState.RETIRED
    world.clock.jump(YEAR)
    ticked(world, 5)
    run(world, 3540, step=10)
    assert world.keys.find(first).state is KeyState.RETIRED
    run(world, 60, step=10)
    assert world.keys.find(first).state is KeyState.DESTROYED


def test_a_clock_that_is_set_back_undoes_nothing_and_rotates_nothing_twice(world: World) -> None:
    run(world.steady(), 30 * DAY)
    states, signs = world.states(), active(world)
    world.clock.jump(-DAY)
    ticked(world, 3)
    assert (world.states(), active(world)) == (states, signs)
    run(world, 3 * DAY)
    assert audited(world, "key.rotated") == 1


def test_a_jump_of_a_year_rotates_once(world: World) -> None:
    world.steady()
    world.clock.jump(YEAR)
    ticked(world, 5)
    assert audited(world, "key.rotated") == 1


def test_a_failing_backend_is_reported_and_asked_again_less_and_less_often(world: World) -> None:
    world.steady()
    world.keys.retire(str(world.one(KeyState.STANDBY).key_id), **WHO)
    world.fail_backend()
    asked = []
    for _ in range(12):
        world.clock.advance(10)
        world.events.clear()
        assert ticked(world) == ["failed"]
        asked.append(world.failures() == [("make_standby", "backend.failed")])
    assert asked == [True, True, True] + [False] * 2 + [True] + [False] * 6
    world.mend()
    run(world, 600, step=10)
    assert "standby" in world.states()
    assert ticked(world) == ["done"]


def test_one_issuer_that_fails_does_not_keep_another_from_its_moves(world: World) -> None:
    world.keys.open_issuer("aaa", algorithm="ES256", **WHO)
    world.keys.retire(str(next(r.key_id for r in world.stored.records("aaa") if r.state is KeyState.STANDBY)), **WHO)

    def bug() -> None:
        raise ZeroDivisionError

    world.backend.before_call = bug
    world.clock.advance(31 * DAY)
    assert ticked(world, 2) == ["starting", "failed"]
    assert audited(world, "key.rotated") == 1
    assert set(world.failures()) == {("make_standby", "service.fault"), ("rotate", "service.fault")}


def test_a_catalog_that_is_down_fails_the_tick_and_not_the_scheduler(world: World) -> None:
    ticked(world)

    def fail() -> None:
        raise UnavailableError(Reason.CATALOG_UNAVAILABLE, "down")

    world.catalog.before_call, world.catalog._calls = fail, {"records"}
    assert ticked(world) == ["failed"]
    assert world.events[-1] == SchedulerTicked("failed", 0.0, Reason.CATALOG_UNAVAILABLE)
    world.mend()
    assert ticked(world) == ["done"]


def test_two_replicas_rotate_once_and_one_does_nothing_while_the_other_works(world: World) -> None:
    other = world.replica()
    world.clock.advance(31 * DAY)
    assert ticked(world) == ticked(other) == ["starting"]
    outcomes: list[str] = []
    with world.stored.turn(TURN):
        waiting = threading.Thread(target=lambda: outcomes.extend(ticked(other)))
        waiting.start()
        waiting.join(20)
    assert outcomes == ["elsewhere"]
    assert ticked(world) + ticked(other) == ["done", "done"]
    assert audited(world, "key.rotated") == 1


def test_a_move_that_somebody_else_made_meanwhile_is_no_failure(world: World) -> None:
    other = world.replica()
    world.clock.advance(31 * DAY)
    ticked(world)
    world.catalog.before_call = lambda: other.keys.rotate("default", **WHO) if world.mend() is None else None
    assert ticked(world) == ["done"]
    assert world.failures() == []
    assert audited(world, "key.rotated") == 1


def test_chores_run_every_so_many_ticks_and_their_failures_are_reported(world: World) -> None:
    calls: list[str] = []

    def broken() -> None:
        raise ZeroDivisionError

    world.scheduler.chores += [Chore("broken", broken, every_ticks=4), Chore("each", lambda: calls.append("each"))]
    world.scheduler.chores.append(Chore("third", lambda: calls.append("third"), every_ticks=3))
    assert ticked(world, 6) == ["starting", "failed", "done", "done", "done", "failed"]
    assert world.failures() == [("broken", "service.fault")] * 2
    assert (calls.count("each"), calls.count("third")) == (5, 2)


@pytest.mark.parametrize("every_s", [0.01, 3600.0])
def test_the_thread_ticks_at_once_and_ends_early_on_close(every_s: float) -> None:
    told = threading.Event()

    class Told:
        def observe(self, event: Any) -> None:
            told.set()

    world = World().opened()
    scheduler = Scheduler(
        world.keys, world.stored, world.policies, clock=SYSTEM_CLOCK, observer=Told(), every_s=every_s
    ).start()
    assert told.wait(20)
    scheduler.close()
    assert not [one for one in threading.enumerate() if one.name == "sealwright-scheduler"]


def test_a_short_restorable_time_needs_no_hour_of_a_steady_clock() -> None:
    world = World(timings=KeyTimings(restorable_s=20, rotation_period_s=0, verify_window_floor_s=0)).opened()
    standby = str(world.one(KeyState.STANDBY).key_id)
    world.keys.retire(standby, **WHO)
    run(world, 40, step=10)
    assert world.keys.find(standby).state is KeyState.DESTROYED


def test_a_start_while_the_backend_is_down_leaves_the_rest_to_the_scheduler(world: World) -> None:
    world.fail_backend()
    standby = world.one(KeyState.STANDBY)
    world.keys.revoke(str(standby.key_id), **WHO)
    world.keys.recover(actor="sealwright")
    assert world.held.find(standby.handle) is not None
    world.mend()
    ticked(world, 2)
    assert world.held.find(standby.handle) is None
    assert "standby" in world.states()


def test_a_pending_key_on_hold_survives_time_and_a_restart(world: World) -> None:
    made = world.keys.create("default", **WHO)
    world.keys.hold(str(made.key_id), actor="tester", reason="adopted soon")
    world.clock.advance(3 * DAY)
    world.keys.recover(actor="sealwright")
    ticked(world, 2)
    assert world.keys.find(str(made.key_id)).state is KeyState.PENDING
    world.keys.release(str(made.key_id), **WHO)
    ticked(world)
    assert world.keys.find(str(made.key_id)).state is KeyState.RETIRED
    assert world.held.find(made.handle) is None
