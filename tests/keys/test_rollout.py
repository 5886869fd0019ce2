"""A new algorithm signs a share of an issuer's tokens, and can be taken back with one commit."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from world import WHO, Death, World

import sealwright as sw
from sealwright.keys.audit import check_chain
from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.catalog import Document
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.publication import published_keys
from sealwright.keys.sealing import Sealer
from sealwright.keys.shares import SigningKeys, drawn, signing_keys
from sealwright.keys.states import KeyState

Refuses = Callable[..., sw.RefusedError]
NEW, OLD = "ES256", "Ed25519"


def started(world: World, percent: int = 0) -> World:
    """The roll-out has begun and its standby has dwelled."""
    world.keys.rollouts.start("default", NEW, **WHO)
    world.clock.advance(world.timings.standby_dwell_s)
    if percent:
        world.keys.rollouts.set_share("default", percent, **WHO)
    return world


def states(world: World, algorithm: str) -> Counter[str]:
    return Counter(str(r.state) for r in world.stored.records("default") if r.algorithm == algorithm)


def signed_with(world: World, number: int) -> str:
    """The algorithm that signs when this number is drawn."""
    signer = ManagedSigner(world.catalog, {"local": world.backend}, "default", clock=world.clock, draw=lambda: number)
    return signer.sign(b"{}", typ=None, actor="tester").algorithm


def test_a_rollout_begins_with_a_published_standby_that_signs_nothing(world: World) -> None:
    world.keys.rollouts.start("default", NEW, **WHO)
    assert states(world, NEW) == {"standby": 1}
    assert {key.members["alg"] for key in published_keys(world.stored.records(), "default")} == {OLD, NEW}
    assert signed_with(world, 0) == OLD
    assert world.keys.active("default").algorithm == OLD


def test_the_first_key_of_a_new_algorithm_dwells_before_it_signs(world: World, refuses: Refuses) -> None:
    world.keys.rollouts.start("default", NEW, **WHO)
    world.clock.advance(world.timings.standby_dwell_s - 1)
    refuses("guard.dwell", world.keys.rollouts.set_share, "default", 10, **WHO)
    assert signed_with(world, 0) == OLD
    world.clock.advance(1)
    world.keys.rollouts.set_share("default", 10, **WHO)
    assert states(world, NEW) == {"active": 1, "standby": 1}


def test_a_forced_share_is_audited_with_the_guard_that_it_overrode(world: World, refuses: Refuses) -> None:
    world.keys.rollouts.start("default", NEW, **WHO)
    routine = {"actor": "tester", "reason": "routine"}
    refuses("move.reason_missing", world.keys.rollouts.set_share, "default", 10, force=True, **routine)
    world.keys.rollouts.set_share("default", 10, force=True, **WHO)
    (entry,) = [entry for entry in world.stored.audit() if entry.action == "rollout.share_set"]
    assert (entry.facts["percent"], entry.facts["forced"]) == (10, ["guard.dwell"])


def test_the_share_decides_by_what_is_drawn(world: World) -> None:
    started(world, percent=10)
    assert [signed_with(world, number) for number in (0, 9, 10, 99)] == [NEW, NEW, OLD, OLD]
    world.keys.rollouts.set_share("default", 100, **WHO)
    assert signed_with(world, 99) == NEW


def test_the_share_of_ten_thousand_draws_is_about_right(world: World) -> None:
    keys = signing_keys(started(world, percent=10).stored, "default", "token")
    new = sum(keys.pick(drawn).record.algorithm == NEW for _ in range(10_000))
    assert 850 <= new <= 1150  # five standard deviations
    usual_only = SigningKeys(keys.usual, keys.new, 0)
    assert not any(usual_only.pick(lambda: secrets.randbelow(100)).record.algorithm == NEW for _ in range(1000))


def test_going_back_is_one_commit_that_a_running_signer_obeys_at_once(world: World) -> None:
    started(world, percent=100)
    assert world.signer.sign(b"{}", typ=None, actor="tester").algorithm == NEW
    commits = []
    world.catalog.after_call = lambda: commits.append(1)
    world.keys.rollouts.back("default", **WHO)
    assert len(commits) == 1
    world.mend()
    assert world.signer.sign(b"{}", typ=None, actor="tester").algorithm == OLD
    assert states(world, NEW)["active"] == 1  # its tokens verify, and it can sign again


@pytest.mark.parametrize("step", ["start", "finish", "abort"])
def test_a_signer_that_looks_while_a_step_is_made_signs_all_the_same(
    step: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step is made after the roll-out was read, and before the keys are."""
    if step != "start":
        started(world, percent=100)
    steps = iter([lambda: STEPS[step][1](world)])
    document = world.stored.document

    def read_before_the_step(kind: str, name: str) -> Document | None:
        found = document(kind, name)
        next(steps, lambda: None)()
        return found

    monkeypatch.setattr(world.stored, "document", read_before_the_step)
    keys = signing_keys(world.stored, "default", "token")
    assert keys.usual.record.algorithm == (NEW if step == "finish" else OLD)


def test_going_back_waits_for_nobody(world: World) -> None:
    started(world, percent=50)
    interloper = iter([lambda: world.start().rollouts.set_share("default", 60, **WHO)])

    def interfere() -> None:
        next(interloper, lambda: None)()

    world.catalog.before_call = interfere
    assert world.keys.rollouts.back("default", **WHO).percent == 0


def test_a_finished_rollout_leaves_one_algorithm_in_the_policy_and_among_the_keys(world: World) -> None:
    started(world, percent=100)
    world.keys.rollouts.finish("default", **WHO)
    assert states(world, NEW) == {"active": 1, "standby": 1}
    assert states(world, OLD) == {"verify_only": 1, "retired": 1}
    assert world.policies.of("default").algorithm == NEW
    assert world.keys.algorithms("default") == [NEW]
    assert world.keys.rotate("default", force=True, **WHO).active.algorithm == NEW


def test_a_rollout_is_finished_only_when_all_is_signed_with_the_new_algorithm(world: World, refuses: Refuses) -> None:
    refuses("guard.no_rollout", world.keys.rollouts.finish, "default", **WHO)
    started(world)
    refuses("guard.no_active_key", world.keys.rollouts.finish, "default", force=True, **WHO)
    world.keys.rollouts.set_share("default", 50, **WHO)
    refuses("guard.rollout", world.keys.rollouts.finish, "default", **WHO)
    world.keys.rollouts.finish("default", force=True, **WHO)
    assert world.keys.algorithms("default") == [NEW]


def test_an_aborted_rollout_retires_what_never_signed(world: World) -> None:
    started(world)
    world.keys.rollouts.abort("default", **WHO)
    assert states(world, NEW) == {"retired": 1}
    assert world.keys.rollouts.find("default") is None
    assert world.keys.rotate("default", **WHO).active.algorithm == OLD


def test_an_aborted_rollout_keeps_what_may_have_signed_published(world: World) -> None:
    started(world, percent=100)
    token = world.signer.sign(b"{}", typ=None, actor="tester").token
    world.keys.rollouts.abort("default", **WHO)
    assert states(world, NEW) == {"verify_only": 1, "retired": 1}
    assert sw.verify_signature(token, published_keys(world.stored.records(), "default")).payload == b"{}"
    assert signed_with(world, 0) == OLD


def test_an_aborted_rollout_can_begin_anew(world: World, refuses: Refuses) -> None:
    started(world, percent=100)
    world.keys.rollouts.abort("default", **WHO)
    world.keys.rollouts.start("default", NEW, **WHO)
    refuses("guard.dwell", world.keys.rollouts.set_share, "default", 1, **WHO)


def test_only_one_rollout_is_under_way(world: World, refuses: Refuses) -> None:
    refuses("guard.rollout", world.keys.rollouts.start, "default", OLD, **WHO)
    started(world)
    refuses("guard.rollout", world.keys.rollouts.start, "default", "ES384", **WHO)
    assert world.keys.rollouts.start("default", NEW, **WHO).percent == 0
    assert states(world, NEW) == {"standby": 1}


def test_an_algorithm_that_the_backend_does_not_make_is_refused_before_anything_is_written(world: World) -> None:
    with pytest.raises(sw.BackendError) as caught:
        world.keys.rollouts.start("default", "none", **WHO)
    assert caught.value.reason == "backend.unsupported"
    assert world.keys.rollouts.find("default") is None


def test_each_algorithm_rotates_by_itself_during_a_rollout(world: World, refuses: Refuses) -> None:
    started(world, percent=50)
    refuses("move.algorithm_needed", world.keys.rotate, "default", **WHO)
    world.clock.advance(world.timings.standby_dwell_s)
    assert world.keys.rotate("default", algorithm=NEW, **WHO).active.algorithm == NEW
    leaked = world.keys.active("default", algorithm=OLD)
    done = world.keys.emergency_rotate("default", key_id=leaked.key_id, **WHO)
    assert (done.active.algorithm, done.standby and done.standby.algorithm) == (OLD, OLD)
    assert (signed_with(world, 0), signed_with(world, 99)) == (NEW, OLD)


STEPS: dict[str, tuple[int | None, Callable[[World], object]]] = {
    "start": (None, lambda world: world.keys.rollouts.start("default", NEW, **WHO)),
    "set": (0, lambda world: world.keys.rollouts.set_share("default", 10, **WHO)),
    "back": (10, lambda world: world.keys.rollouts.back("default", **WHO)),
    "finish": (100, lambda world: world.keys.rollouts.finish("default", **WHO)),
    "abort": (10, lambda world: world.keys.rollouts.abort("default", **WHO)),
    "abort before it signed": (0, lambda world: world.keys.rollouts.abort("default", **WHO)),
}


def survive(world: World, step: str, number: int, *, after: bool) -> bool:
    """Whether the step was still under way at that call."""
    percent, move = STEPS[step]
    if percent is not None:
        started(world, percent)
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
    """Every algorithm that signs has its one active and its one standby key, whatever step ended half way."""
    rollout = world.keys.rollouts.find("default")
    usual = rollout.before if rollout else world.keys.algorithms("default")[0]
    assert states(world, usual)["active"] == states(world, usual)["standby"] == 1
    if rollout is not None:
        assert states(world, rollout.algorithm)["standby"] == 1
        assert states(world, rollout.algorithm)["active"] <= 1
    else:
        assert world.keys.algorithms("default") == [usual]
    assert "pending" not in world.states()
    for number in (0, 99):
        assert signed_with(world, number) in (OLD, NEW)
    check_chain(world.stored.audit())
    assert world.start().recover(actor="sealwright") == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_death_at_any_call_of_a_step_is_survived(step: str, after: bool) -> None:
    deaths = [survive(World().opened(), step, number, after=after) for number in range(1, 9)]
    assert deaths[0]
    assert not deaths[-1]


@pytest.mark.parametrize("step", ["start", "set", "finish"])
def test_the_same_holds_for_the_stores_that_are_used_in_earnest(step: str, tmp_path: Path) -> None:
    for number in range(1, 5):
        folder = tmp_path / str(number)
        folder.mkdir()
        catalog = SqlCatalog.open(f"sqlite:///{folder / 'catalog.db'}")
        try:
            survive(
                World(catalog, LocalBackend(folder / "keys", Sealer.fixed(b"k" * 32))).opened(),
                step,
                number,
                after=number > 2,
            )
        finally:
            catalog.close()


def test_a_revoked_standby_of_a_rollout_is_replaced(world: World) -> None:
    started(world)
    (standby,) = [r for r in world.stored.records("default") if r.algorithm == NEW and r.state is KeyState.STANDBY]
    world.keys.revoke(str(standby.key_id), **WHO)
    assert states(world, NEW) == {"revoked": 1, "standby": 1}
