"""What every FleetStore does: it keeps what verifiers reported, merged, bounded and for a time."""

from __future__ import annotations

import threading

import pytest

from sealwright.keys import fleet_store
from sealwright.keys.catalogs import memory_fleet, sql_fleet
from sealwright.keys.fleet import Enforced, HeldKey, Member, Outcome
from sealwright.keys.fleet_store import FleetStore

NOW = 1_700_000_000.25


def heard(
    instance: str = "1", at: float = NOW, sequence: int | None = 7, name: str = "orders", **keys: float
) -> Member:
    """A process that holds these keys since a moment ago, and accepted each at the given time."""
    held = {kid: HeldKey(at, accepted or None, accepted or None) for kid, accepted in keys.items()}
    tried = {"canary:1": Outcome("rejected", "key.revoked", at)} if "revoked" in keys else {}
    return Member(name, instance, at, at, {"default": Enforced(sequence, at - 1.5, None, held)}, tried)


def test_a_new_store_knows_nobody(fleet: FleetStore) -> None:
    assert fleet.members() == []
    assert fleet.forget(NOW) == 0


def test_what_was_reported_comes_back_as_it_was_in_order(fleet: FleetStore) -> None:
    reports = [
        heard("b", k1=NOW - 3, revoked=0),
        heard("a", sequence=None, ü=0.0),
        heard("a", name="Ångström \U0001f511"),
    ]
    fleet.put(reports)
    assert fleet.members() == sorted(reports, key=lambda one: one.number)


def test_nothing_at_all_may_be_reported(fleet: FleetStore) -> None:
    fleet.put([])
    assert fleet.members() == []


def test_what_was_known_first_stays_and_what_is_newest_counts(fleet: FleetStore) -> None:
    fleet.put([heard(at=NOW, k1=0, k2=NOW - 5)])
    fleet.put([heard(at=NOW + 60, sequence=9, k2=NOW + 50, k3=0)])
    seen = fleet.members()[0]
    assert (seen.first_seen_at, seen.last_seen_at) == (NOW, NOW + 60)
    assert seen.issuers["default"].sequence == 9
    assert seen.issuers["default"].keys == {"k2": HeldKey(NOW, NOW - 5, NOW + 50), "k3": HeldKey(NOW + 60)}


def test_a_report_that_comes_late_undoes_nothing(fleet: FleetStore) -> None:
    """Replicas write what they heard at their own pace."""
    fleet.put([heard(at=NOW + 60, sequence=9, k2=0)])
    fleet.put([heard(at=NOW, sequence=7, k1=0, k2=0)])
    seen = fleet.members()[0]
    assert (seen.last_seen_at, seen.issuers["default"].sequence) == (NOW + 60, 9)
    assert seen.issuers["default"].keys == {"k2": HeldKey(NOW)}


def test_one_process_reported_twice_at_once_is_one(fleet: FleetStore) -> None:
    fleet.put([heard(at=NOW, k1=0), heard(at=NOW + 1, k1=NOW)])
    assert [one.last_seen_at for one in fleet.members()] == [NOW + 1]


def test_a_refusal_stays_known_from_its_first_moment_on(fleet: FleetStore) -> None:
    fleet.put([heard(at=NOW, revoked=0)])
    fleet.put([heard(at=NOW + 5)])
    fleet.put([heard(at=NOW + 9, revoked=0)])
    assert fleet.members()[0].tried == {"canary:1": Outcome("rejected", "key.revoked", NOW)}


def test_only_those_heard_of_lately_are_asked_for(fleet: FleetStore) -> None:
    fleet.put([heard("old", NOW - 600.5), heard("new", NOW - 600)])
    assert [one.instance for one in fleet.members(NOW - 600)] == ["new"]


def test_who_was_silent_for_long_is_forgotten(fleet: FleetStore) -> None:
    fleet.put([heard("old", NOW - 1), heard("new", NOW)])
    assert fleet.forget(NOW) == 1
    assert [one.instance for one in fleet.members()] == ["new"]


def test_the_newest_are_kept_when_there_are_too_many(fleet: FleetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fleet_store.MOST_MEMBERS == 10_000
    for module in (memory_fleet, sql_fleet):
        monkeypatch.setattr(module, "MOST_MEMBERS", 3)
    fleet.put([heard(str(number), NOW + number) for number in range(5)])
    assert [one.instance for one in fleet.members()] == ["2", "3", "4"]
    assert fleet.forget(0.0) == 2


def test_many_processes_are_written_in_several_steps(fleet: FleetStore) -> None:
    fleet.put([heard(f"{number:03}") for number in range(450)])
    assert len(fleet.members()) == 450


def test_writers_at_the_same_time_lose_nobody(fleet: FleetStore) -> None:
    """Replicas report about the same verifiers; each has newer facts about some of them."""

    def report(writer: int) -> None:
        for round_ in range(5):
            at = NOW + round_
            fleet.put([heard(str(n), at + (0.5 if n % 4 == writer else 0)) for n in range(20)])

    writers = [threading.Thread(target=report, args=(number,)) for number in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert {one.last_seen_at for one in fleet.members()} == {NOW + 4.5}
    assert len(fleet.members()) == 20
