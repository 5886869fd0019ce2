"""What verifiers report decides what may happen to keys: who holds one before it signs, who used it before it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import WHO, World

import sealwright as sw
from sealwright.jose import strict_json
from sealwright.keys.enforcements import Enforcements
from sealwright.keys.fleet import (
    MOST_UNPUBLISHED,
    Enforced,
    HeldKey,
    Member,
    Outcome,
    bounded,
    member_from,
    member_of,
    merged,
)
from sealwright.keys.fleet_report import Published, enforcement, rotation_lag_s, shortfalls, spread
from sealwright.keys.rehearsal import canary_trial
from sealwright.keys.rotation import MoveKind, plan
from sealwright.keys.states import KeyState
from sealwright.statements.verifier_reports import IssuerReport, Tried, VerifierReport

NOW = 1_700_000_000.0
FORCED = {"actor": "tester", "reason": "drill", "force": True}
Refuses = Callable[..., sw.RefusedError]


def kid(world: World, state: KeyState) -> str:
    return str(world.one(state).key_id)


def report(
    world: World, instance: str, *kids: str, name: str = "orders", sequence: int | None = None, **accepted: float
) -> None:
    """One process says which keys of "default" it holds, and when it accepted some of them."""
    said = IssuerReport(sequence, 1.0, 1.0, dict.fromkeys(kids) | accepted)
    heard = VerifierReport(name, instance, {"https://id.example/default": said})
    world.keys.fleet.put([member_of(heard, world.clock.now(), lambda url: url.rpartition("/")[2])])


def dwelled(world: World) -> World:
    """A standby that has been published for long enough."""
    world.clock.advance(1)
    world.keys.rotate("default", **WHO)
    world.clock.advance(world.timings.standby_dwell_s)
    return world


# Before a key signs


def test_without_verifiers_that_report_the_dwell_alone_decides(world: World) -> None:
    dwelled(world).keys.rotate("default", **WHO)


def test_a_key_does_not_sign_before_the_verifiers_hold_it_and_the_refusal_names_them(
    world: World, refuses: Refuses
) -> None:
    dwelled(world)
    report(world, "one", *world.published_ids())
    report(world, "two", kid(world, KeyState.ACTIVE))
    for move, key in ((world.keys.rotate, "default"), (world.keys.activate, kid(world, KeyState.STANDBY))):
        refused = refuses("guard.acknowledgement", move, key, **WHO)
        assert "1 of 2 verifiers do not hold this key: orders/two since 2023-11-14T" in refused.message
    report(world, "two", *world.published_ids())
    world.keys.rotate("default", **WHO)


def test_at_most_five_verifiers_are_named(world: World, refuses: Refuses) -> None:
    dwelled(world)
    for number in range(7):
        report(world, str(number), "other")
    assert "orders/4 since" in (
        message := refuses("guard.acknowledgement", world.keys.rotate, "default", **WHO).message
    )
    assert "orders/5" not in message
    assert "and 2 more" in message


@pytest.mark.parametrize(("of", "may_lack"), [(1, 0), (50, 0), (99, 0), (100, 1), (150, 1), (200, 2)])
def test_one_in_a_hundred_may_lack_the_key(world: World, refuses: Refuses, of: int, may_lack: int) -> None:
    dwelled(world)
    for number in range(of):
        report(world, str(number), *(["other"] if number <= may_lack else world.published_ids()))
    refuses("guard.acknowledgement", world.keys.rotate, "default", **WHO)
    report(world, "0", *world.published_ids())
    world.keys.rotate("default", **WHO)


def test_a_verifier_counts_once_however_many_processes_it_reports(world: World, refuses: Refuses) -> None:
    """Nobody hides those who lack the key behind a crowd of their own, nor outvotes those who have it."""
    dwelled(world)
    report(world, "0", "other", name="honest")
    for number in range(500):
        report(world, str(number), *world.published_ids(), name="crowd")
    refuses("guard.acknowledgement", world.keys.rotate, "default", **WHO)
    report(world, "0", *world.published_ids(), name="honest")
    for number in range(5):
        report(world, str(number), "other", name="crowd")  # one in a hundred of one of two
    world.keys.rotate("default", **WHO)


def test_a_verifier_that_is_wrong_for_good_does_not_stop_the_scheduler_for_ever(world: World) -> None:
    """It holds a rotation up for a week from when that was due, and a key that should go for a week as well."""
    world.keys.fleet.lost_after_s = 1e12  # it reports all the time
    old = kid(world.steady(), KeyState.ACTIVE)
    due_at = (world.one(KeyState.ACTIVE).activated_at or 0.0) + world.timings.rotation_period_s
    tick_at(world, due_at + world.keys.fleet.patience_s - 10)
    assert kid(world, KeyState.ACTIVE) == old
    tick_at(world, due_at + world.keys.fleet.patience_s)
    assert kid(world, KeyState.VERIFY_ONLY) == old
    ends_at = world.clock.now() + world.timings.verify_window_s + world.keys.fleet.patience_s
    for at, state in ((ends_at - 10, KeyState.VERIFY_ONLY), (ends_at, KeyState.RETIRED)):
        tick_at(world, at, **{old: at})
        assert world.keys.find(old).state is state


def tick_at(world: World, at: float, **accepted: float) -> None:
    """The scheduler believes a clock that has jumped from its second tick on."""
    world.clock.jump(at - world.clock.now())
    report(world, "liar", **accepted)
    world.clock.advance(2)
    world.scheduler.tick()
    world.scheduler.tick()


def test_a_verifier_that_was_silent_for_ten_minutes_counts_no_more(world: World, refuses: Refuses) -> None:
    dwelled(world)
    report(world, "gone", "other")
    world.clock.advance(600)
    refuses("guard.acknowledgement", world.keys.rotate, "default", **WHO)
    world.clock.advance(0.5)
    world.keys.rotate("default", **WHO)


def test_verifiers_of_another_issuer_have_no_say(world: World) -> None:
    dwelled(world)
    said = VerifierReport("orders", "one", {"https://id.example/other": IssuerReport(1, 1.0, 1.0, {"other": None})})
    world.keys.fleet.put([member_of(said, world.clock.now(), lambda url: url.rpartition("/")[2])])
    world.keys.rotate("default", **WHO)


def test_force_with_a_reason_overrides_and_is_audited(world: World, refuses: Refuses) -> None:
    dwelled(world)
    report(world, "one", "other")
    refuses("move.reason_missing", world.keys.rotate, "default", actor="tester", reason="routine", force=True)
    world.keys.rotate("default", **FORCED)
    entry = list(world.stored.audit(action="key.rotated"))[-1]
    assert entry.facts["forced"] == ["guard.acknowledgement"]


def test_every_guard_that_was_overridden_is_named(world: World) -> None:
    world.clock.advance(1)
    world.keys.rotate("default", **WHO)
    report(world, "one", "other")
    world.keys.rotate("default", **FORCED)
    (forced,) = [e.facts["forced"] for e in world.stored.audit(action="key.rotated") if "forced" in e.facts]
    assert forced == ["guard.dwell", "guard.acknowledgement"]


def test_an_emergency_asks_no_verifier(world: World) -> None:
    report(world, "one", "other")
    world.keys.emergency_rotate("default", **WHO)


def test_the_trust_root_is_in_no_set_that_a_verifier_holds(world: World) -> None:
    world.keys.open_issuer("default", algorithm="Ed25519", purpose="trust-root", **WHO)
    world.clock.advance(1)
    report(world, "one", "other")
    world.keys.rotate("default", purpose="trust-root", **WHO)


def test_a_roll_out_signs_nothing_before_the_verifiers_hold_its_key(world: World, refuses: Refuses) -> None:
    world.clock.advance(1)
    world.keys.rollouts.start("default", "ES256", **WHO)
    world.clock.advance(world.timings.standby_dwell_s)
    report(world, "one", kid_of(world, "Ed25519", KeyState.ACTIVE))
    refuses("guard.acknowledgement", world.keys.rollouts.set_share, "default", 5, **WHO)
    report(world, "one", kid_of(world, "ES256", KeyState.STANDBY))
    world.keys.rollouts.set_share("default", 5, **WHO)


def kid_of(world: World, algorithm: str, state: KeyState) -> str:
    found = [one for one in world.stored.records() if (one.algorithm, one.state) == (algorithm, state)]
    return str(found[0].key_id)


# Before a key goes


def old_key(world: World) -> str:
    """A key whose verify window is over."""
    world.clock.advance(1)
    world.keys.rotate("default", **WHO)
    world.clock.advance(world.timings.verify_window_floor_s)
    return kid(world, KeyState.VERIFY_ONLY)


def test_a_key_that_a_verifier_accepted_lately_stays_published(world: World, refuses: Refuses) -> None:
    old = old_key(world)
    report(world, "one", **{old: world.clock.now() - 10})
    refused = refuses("guard.still_accepted", world.keys.retire, old, **WHO)
    assert "verifiers still accept this key, orders/one the last: wait 2210 s" in refused.message
    world.keys.fleet.lost_after_s = 86_400
    world.clock.advance(2210)
    world.keys.retire(old, **WHO)


def test_a_verifier_with_a_clock_that_is_ahead_holds_no_key_up_for_longer(world: World, refuses: Refuses) -> None:
    old = old_key(world)
    report(world, "one", **{old: world.clock.now() + 86_400})
    assert "wait 2220 s" in refuses("guard.still_accepted", world.keys.retire, old, **WHO).message


def test_a_key_that_is_held_and_not_used_may_go(world: World) -> None:
    old = old_key(world)
    report(world, "one", old)
    world.keys.retire(old, **WHO)


def test_retiring_by_force_names_the_guard(world: World) -> None:
    old = old_key(world)
    report(world, "one", **{old: world.clock.now()})
    world.keys.retire(old, **FORCED)
    assert [e.facts.get("forced") for e in world.stored.audit(action="key.moved")][-1] == ["guard.still_accepted"]


# The scheduler


def moves(world: World) -> list[tuple[str, tuple[str, ...], tuple[str, ...], float]]:
    records, now = world.stored.records(), world.clock.now()
    planned = plan(records, world.policies, now, now + 40 * 86_400, world.keys.fleet.facts(records))
    return [(str(one.move.kind), one.blocked_by, one.waits_for, one.at - now) for one in planned]


def test_a_rotation_that_verifiers_are_not_ready_for_is_planned_as_blocked_and_not_made(world: World) -> None:
    world.clock.advance(1)
    world.keys.rotate("default", **WHO)
    world.clock.advance(world.timings.rotation_period_s - 3601)
    world.steady().clock.advance(1)
    before = kid(world, KeyState.ACTIVE)
    report(world, "one", "other")
    rotation = next(one for one in moves(world) if one[0] == "rotate")
    assert rotation == ("rotate", ("guard.acknowledgement",), (), 0.0)
    world.scheduler.tick()
    assert kid(world, KeyState.ACTIVE) == before
    assert world.failures() == []
    world.clock.advance(5)
    report(world, "one", *world.published_ids())
    world.scheduler.tick()
    assert kid(world, KeyState.ACTIVE) != before


def test_a_standby_that_still_dwells_blocks_nothing(world: World) -> None:
    world.clock.advance(1)
    world.keys.rotate("default", **WHO)
    report(world, "one", "other")
    assert all(blocked == () for _, blocked, _, _ in moves(world))


def test_a_key_in_use_is_planned_to_go_later(world: World) -> None:
    old = old_key(world)
    report(world, "one", *world.published_ids(), **{old: world.clock.now() - 10})
    retirement = next(one for one in moves(world) if one[0] == MoveKind.RETIRE)
    assert retirement == ("retire", (), ("guard.still_accepted",), 2210.0)


# What a report means


def test_a_report_is_kept_by_the_clock_of_the_service() -> None:
    said = IssuerReport(4, 2.0, None, {"k1": None, "k2": NOW - 5, "k3": NOW + 999})
    tried = {"t": Tried("rejected", "key.revoked", NOW - 1)}
    heard = VerifierReport("orders", "one", {"https://a": said, "https://stranger": said}, tried)
    seen = member_of(heard, NOW, {"https://a": "default"}.get)
    keys = {"k1": HeldKey(NOW), "k2": HeldKey(NOW, NOW - 5, NOW - 5), "k3": HeldKey(NOW, NOW, NOW)}
    assert seen.issuers == {"default": Enforced(4, NOW - 2.0, None, keys)}
    assert seen.tried == {"t": Outcome("rejected", "key.revoked", NOW)}


times = st.floats(0, 100, allow_nan=False)
held_keys = st.builds(lambda at, used: HeldKey(at, used, used), times, st.none() | times)
outcomes = st.builds(Outcome, st.sampled_from(["accepted", "rejected"]), st.sampled_from(["key.revoked", None]), times)
members = st.builds(
    lambda at, keys, tried: Member("n", "i", at, at, {"default": Enforced(int(at), None, at, keys)}, tried),
    times,
    st.dictionaries(st.sampled_from("abc"), held_keys),
    st.dictionaries(st.sampled_from("xy"), outcomes),
)


@given(st.lists(members, min_size=1, max_size=4, unique_by=lambda one: one.last_seen_at))
def test_reports_add_up_however_they_arrive(reports: list[Member]) -> None:
    """Whatever the order: the first sight, the last report, and no refusal forgotten."""
    one: Member | None = None
    for heard in reports:
        one = merged(one, heard)
    assert one is not None
    newest = max(reports, key=lambda heard: heard.last_seen_at)
    assert one.first_seen_at == min(heard.first_seen_at for heard in reports)
    assert one.last_seen_at == newest.last_seen_at
    assert one.issuers["default"].keys.keys() == newest.issuers["default"].keys.keys()
    refused = {key for heard in reports for key, outcome in heard.tried.items() if outcome.refused_key}
    assert {key for key, outcome in one.tried.items() if outcome.refused_key} == refused


@given(members)
def test_what_is_stored_is_read_as_it_was(member: Member) -> None:
    assert member_from(strict_json.parse_object(strict_json.encode_object(member.to_dict()))) == member


def test_results_of_trials_do_not_pile_up() -> None:
    one = Member("n", "i", 0.0, 0.0)
    for number in range(100):
        one = merged(one, replace(one, last_seen_at=number, tried={str(number): Outcome("accepted", None, number)}))
    assert len(one.tried) == 32
    assert "99" in one.tried


# Who is behind, how keys spread, how revocations hold


def test_what_a_verifier_lacks_and_since_when(world: World) -> None:
    first, standby = kid(world, KeyState.ACTIVE), kid(world, KeyState.STANDBY)
    began = world.clock.now()
    report(world, "one", first, standby, sequence=3)
    world.clock.advance(10)
    world.keys.emergency_rotate("default", **WHO)
    (one,) = world.keys.fleet.live("default")
    found = shortfalls(one, "default", world.stored.records(), Published(5, began + 11))
    new = kid(world, KeyState.STANDBY)
    assert [(lack.what, lack.key_id, lack.since - began) for lack in found] == [
        ("lacks", new, 10.0),
        ("still_holds", first, 10.0),
        ("feed", None, 11.0),
    ] or [(lack.what, lack.key_id, lack.since - began) for lack in found] == [
        ("still_holds", first, 10.0),
        ("lacks", new, 10.0),
        ("feed", None, 11.0),
    ]
    report(world, "one", standby, new, sequence=5)
    assert shortfalls(world.keys.fleet.live()[0], "default", world.stored.records(), Published(5, began)) == []


def test_how_long_a_key_took_to_reach_the_last_verifier(world: World) -> None:
    """M6: from its publication to each verifier, of those that were there before it."""
    for instance in ("one", "two"):
        report(world, instance, *world.published_ids())
    world.clock.advance(1)
    world.keys.rotate("default", **WHO)
    new = world.one(KeyState.STANDBY)
    world.clock.advance(2)
    report(world, "one", *world.published_ids())
    world.clock.advance(3)
    assert spread(new, world.keys.fleet.live("default")).held_after_s is None
    assert rotation_lag_s(new, world.keys.fleet.live("default"), world.clock.now()) == 5
    report(world, "two", *world.published_ids())
    world.clock.advance(95)
    report(world, "late", *world.published_ids())
    report(world, "two", *world.published_ids(), **{str(new.key_id): world.clock.now() - 60})
    found = spread(new, world.keys.fleet.live("default"))
    assert (found.holders, found.of, found.held_after_s, found.accepted_after_s) == (3, 3, 5.0, 40.0)


def test_nobody_was_there_before_the_first_key(world: World) -> None:
    world.clock.advance(5)
    report(world, "one", *world.published_ids())
    assert rotation_lag_s(world.one(KeyState.ACTIVE), world.keys.fleet.live(), world.clock.now()) is None


def tried(world: World, instance: str, outcome: Any, reason: str | None) -> None:
    leaked = world.one(KeyState.REVOKED)
    given_trial = canary_trial(leaked)
    assert given_trial is not None
    said = {"https://id.example/default": IssuerReport(None, None, None, {})}
    tries = {given_trial.trial_id: Tried(outcome, reason, world.clock.now())}
    heard = VerifierReport("orders", instance, said, tries)
    world.keys.fleet.put([member_of(heard, world.clock.now(), lambda url: url.rpartition("/")[2])])


def test_a_revocation_is_enforced_at_the_last_refusal_of_its_key(world: World) -> None:
    """M10; a token that is refused for anything but its key proves nothing."""
    for instance in ("one", "two", "three"):
        report(world, instance, *world.published_ids())
    world.keys.emergency_rotate("default", **WHO)
    proofs = Enforcements(world.stored, world.keys.fleet, world.clock)
    world.clock.advance(1)
    tried(world, "one", "rejected", "key.revoked")
    tried(world, "two", "accepted", None)
    tried(world, "three", "rejected", "claims.audience")
    proofs.write(world.stored.records(), actor="tester", reason="test")
    found = proofs.of(world.one(KeyState.REVOKED))
    assert found is not None
    assert (found.refusing, found.of, found.enforced_at) == (1, 3, None)
    assert {one.instance for one, _ in found.waiting} == {"two", "three"}
    assert proofs.known() == {}
    world.clock.advance(2)
    tried(world, "two", "rejected", "key.revoked")
    tried(world, "three", "rejected", "key.not_found")
    world.clock.advance(30)
    for _ in range(2):
        proofs.write(world.stored.records(), actor="tester", reason="test")
    (noted,) = world.stored.audit(action="revocation.enforced")
    fact = proofs.known()[str(world.one(KeyState.REVOKED).key_id)]
    assert (fact.enforced_at - fact.commanded_at, fact.verifiers) == (3.0, 3)
    assert noted.facts["enforced_at"] == fact.enforced_at


def test_where_nobody_reports_nothing_is_proven(world: World) -> None:
    world.keys.emergency_rotate("default", **WHO)
    canary = canary_trial(world.one(KeyState.REVOKED))
    assert canary is not None
    assert enforcement(canary, []).enforced_at is None


# Rehearsals


def test_a_rehearsal_signs_a_token_that_nobody_serves_for_two_minutes(world: World, refuses: Refuses) -> None:
    standby = world.one(KeyState.STANDBY)
    given_trial = world.keys.rehearsals.begin(standby, **WHO)
    jws = sw.verify_signature(given_trial.trial.token, standby.public_key())
    claims = jws.json()
    assert claims["aud"] == given_trial.trial.audience
    assert claims["aud"].startswith("urn:sealwright:rehearsal:")
    assert claims["exp"] - claims["iat"] == 120
    assert world.one(KeyState.STANDBY) == standby
    (entry,) = world.stored.audit(action="key.rehearsed")
    assert entry.facts["key_id"] == standby.key_id
    assert len(entry.facts["signatures"]) == 1
    assert given_trial.trial.token not in str(entry)
    assert world.keys.rehearsals.latest("default") == given_trial
    refuses("move.illegal", world.keys.rehearsals.begin, world.one(KeyState.ACTIVE), **WHO)


def test_each_rehearsal_replaces_the_one_before(world: World) -> None:
    standby = world.one(KeyState.STANDBY)
    first, second = (world.keys.rehearsals.begin(standby, **WHO) for _ in range(2))
    assert first.trial.audience != second.trial.audience
    assert world.keys.rehearsals.latest("default") == second


def test_a_rehearsal_that_is_not_written_is_not_given_to_anybody(world: World) -> None:
    def fail() -> None:
        raise sw.UnavailableError(sw.Reason.CATALOG_UNAVAILABLE, "down")

    world.catalog.before_call = fail
    with pytest.raises(sw.UnavailableError):
        world.keys.rehearsals.begin(world.one(KeyState.STANDBY), **WHO)
    assert world.keys.rehearsals.latest("default") is None


def test_a_report_that_is_filled_with_kids_keeps_those_that_mean_something() -> None:
    strangers = {f"{number:03}": HeldKey(NOW) for number in range(100)}
    keys = {**strangers, "k" * 101: HeldKey(NOW), "published": HeldKey(NOW)}
    member = Member("orders", "one", NOW, NOW, {"default": Enforced(1, NOW, NOW, keys)})
    kept = bounded(member, {"default": {"published", "unheard-of"}}).issuers["default"].keys
    assert set(kept) == {"published", *(f"{number:03}" for number in range(MOST_UNPUBLISHED))}
