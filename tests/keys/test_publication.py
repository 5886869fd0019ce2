"""How long others may keep a set: never past its next change, and shortly before it loses a key."""

from __future__ import annotations

import pytest
from world import WHO, World

from sealwright.keys.policy import FixedPolicies, IssuerPolicy
from sealwright.keys.publication import Schedule, max_age_s, schedule
from sealwright.keys.rotation import scheduled
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings
from sealwright.wiring.publishing import Publications

DAY = 86_400.0
M = KeyTimings()


@pytest.mark.parametrize(
    ("left_s", "age_s"), [(10_000, 300), (300, 300), (299.9, 299), (42.5, 42), (1, 1), (0.2, 1), (0, 300), (-9, 300)]
)
def test_no_set_is_kept_past_its_next_change(left_s: float, age_s: int) -> None:
    assert max_age_s(M, Schedule(changes=(left_s, 20_000)), 0.0) == age_s


@pytest.mark.parametrize(
    ("left_s", "age_s"), [(600.1, 300), (600, 60), (61, 60), (59.5, 59), (0.5, 1), (0, 60), (-DAY, 60)]
)
def test_a_set_is_kept_for_a_minute_from_twice_its_age_before_a_removal_on(left_s: float, age_s: int) -> None:
    assert max_age_s(M, Schedule(changes=(left_s,), removals=(left_s,)), 0.0) == age_s


@pytest.mark.parametrize(("longest_s", "age_s"), [(0, 0), (0.5, 0), (1, 1), (20, 20), (60, 60), (61, 60)])
def test_an_age_below_a_minute_stays_what_it_is(longest_s: float, age_s: int) -> None:
    timings = KeyTimings(jwks_max_age_s=longest_s)
    assert max_age_s(timings, Schedule(changes=(0.1,) * (longest_s >= 1), removals=(-1.0,)), 1.0) == age_s


def test_the_pages_follow_the_plan_of_their_issuer(world: World) -> None:
    world.keys.open_issuer("other", algorithm="ES256", **WHO)
    world.clock.advance(1)
    old = str(world.keys.rotate("default", **WHO).previous.key_id)
    pages = Publications(world.stored, world.policies, world.clock)

    def ages() -> list[int]:
        return [pages.max_age_s("default"), pages.max_age_s("other")]

    assert ages() == [300, 300]
    world.clock.advance(DAY - 600)
    assert ages() == [60, 300]
    world.clock.advance(570)
    assert ages() == [30, 300]
    world.keys.hold(old, actor="tester", reason="evidence")
    assert ages() == [300, 300]
    world.keys.release(old, **WHO)
    world.clock.advance(30)
    assert ages() == [60, 300]
    world.keys.retire(old, **WHO)
    assert ages() == [300, 300]
    world.clock.advance(29 * DAY - 100)
    assert ages() == [100, 99]


def test_what_is_not_in_the_set_or_not_going_to_happen_shortens_nothing(world: World) -> None:
    world.keys.open_issuer("default", algorithm="ES256", purpose="trust-root", **WHO)
    full = FixedPolicies(IssuerPolicy(timings=KeyTimings(published_keys=2)))
    assert schedule(scheduled(world.stored.records(), full), "default") == Schedule()
    world.keys.hold(
        str(world.one_of("token", KeyState.ACTIVE).key_id), actor="tester", reason="a hold stops no rotation"
    )
    ahead = schedule(scheduled(world.stored.records(), world.policies), "default")
    assert ahead == Schedule(changes=(world.clock.now() + 30 * DAY,))
