"""What every KeyCatalog does."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

import sealwright as sw
from sealwright.keys.audit import AuditEntry, check_chain
from sealwright.keys.catalog import Insert, Replace
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState

NOW = 1_700_000_000.25


def entry(action: str = "test", **facts: Any) -> AuditEntry:
    return AuditEntry(NOW, "tester", action, "default", None, "because", facts)


def record(number: int = 1, state: KeyState = KeyState.PENDING, **changed: Any) -> KeyRecord:
    made = KeyRecord(f"{number:032x}", "default", "token", "ES256", "memory", state, NOW + number)
    return replace(made, **changed)


def known(number: int, state: KeyState, **changed: Any) -> KeyRecord:
    public = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": f"kid-{number}"}
    return record(number, state, key_id=f"kid-{number}", public=public, **changed)


def refused(catalog: Any, *changes: Any) -> None:
    before, trail = catalog.records(), list(catalog.audit())
    with pytest.raises(sw.RefusedError) as caught:
        catalog.commit(changes, entry())
    assert caught.value.reason == "catalog.conflict"
    assert (catalog.records(), list(catalog.audit())) == (before, trail)


def test_a_record_comes_back_as_it_was_written(catalog: Any) -> None:
    whole = known(1, KeyState.REVOKED, published_at=NOW + 1, revoked_at=NOW + 2.125, revoked_reason="läck \n'")
    catalog.commit([Insert(whole)], entry())
    assert catalog.records() == [whole]


def test_records_are_listed_oldest_first_and_by_issuer(catalog: Any) -> None:
    other = record(3, issuer="other")
    catalog.commit([Insert(record(1)), Insert(record(2)), Insert(other)], entry())
    assert [one.handle for one in catalog.records()] == [record(n).handle for n in (1, 2, 3)]
    assert catalog.records("other") == [other]
    assert catalog.records("nobody") == []


def test_a_change_needs_the_generation_before_it(catalog: Any) -> None:
    catalog.commit([Insert(record(1))], entry())
    refused(catalog, Replace(record(1, generation=1)))
    refused(catalog, Replace(record(1, generation=3)))
    refused(catalog, Replace(record(2, generation=2)))
    catalog.commit([Replace(record(1, generation=2))], entry())
    refused(catalog, Replace(record(1, generation=2)))


def test_all_changes_are_made_or_none(catalog: Any) -> None:
    catalog.commit([Insert(record(1))], entry())
    refused(catalog, Insert(record(2)), Replace(record(1, generation=5)))
    refused(catalog, Insert(record(2)), Insert(record(1)))


def test_a_kid_is_never_used_twice(catalog: Any) -> None:
    catalog.commit([Insert(known(1, KeyState.DESTROYED))], entry())
    refused(catalog, Insert(replace(known(1, KeyState.STANDBY), handle="f" * 32)))


def test_there_is_one_active_key_for_each_issuer_purpose_and_algorithm(catalog: Any) -> None:
    catalog.commit([Insert(known(1, KeyState.ACTIVE)), Insert(known(2, KeyState.STANDBY))], entry())
    refused(catalog, Insert(known(3, KeyState.ACTIVE)))
    refused(catalog, Replace(known(2, KeyState.ACTIVE, generation=2)))
    catalog.commit([Insert(known(4, KeyState.ACTIVE, algorithm="RS256"))], entry())
    catalog.commit([Insert(known(5, KeyState.ACTIVE, issuer="other"))], entry())
    catalog.commit([Insert(known(6, KeyState.ACTIVE, purpose="trust-root"))], entry())


def test_the_active_key_changes_in_one_commit_whatever_the_order(catalog: Any) -> None:
    catalog.commit([Insert(known(1, KeyState.ACTIVE)), Insert(known(2, KeyState.STANDBY))], entry())
    steps = [Replace(known(2, KeyState.ACTIVE, generation=2)), Replace(known(1, KeyState.VERIFY_ONLY, generation=2))]
    catalog.commit(steps, entry())
    assert [one.state for one in catalog.records()] == [KeyState.VERIFY_ONLY, KeyState.ACTIVE]


def test_a_signature_is_recorded_only_while_its_key_is_active(catalog: Any) -> None:
    active = known(1, KeyState.ACTIVE)
    catalog.commit([Insert(active)], entry())
    catalog.record_signatures(active, entry("token.signed"))
    assert catalog.records() == [replace(active, last_signed_at=NOW)]
    catalog.commit([Replace(known(1, KeyState.VERIFY_ONLY, generation=2))], entry())
    before = list(catalog.audit())
    for stranger in (active, known(2, KeyState.ACTIVE)):
        with pytest.raises(sw.RefusedError) as caught:
            catalog.record_signatures(stranger, entry("token.signed"))
        assert caught.value.reason == "catalog.conflict"
    assert list(catalog.audit()) == before


def test_a_move_that_was_read_before_a_signature_does_not_forget_it(catalog: Any) -> None:
    active = known(1, KeyState.ACTIVE)
    catalog.commit([Insert(active)], entry())
    catalog.record_signatures(active, entry("token.signed"))
    catalog.commit([Replace(known(1, KeyState.VERIFY_ONLY, generation=2))], entry())
    assert catalog.records()[0].last_signed_at == NOW


def test_the_version_grows_with_each_commit_and_only_then(catalog: Any) -> None:
    seen = [catalog.version()]
    catalog.commit([Insert(known(1, KeyState.ACTIVE))], entry())
    seen.append(catalog.version())
    refused(catalog, Insert(record(1)))
    assert catalog.version() == seen[-1]
    catalog.commit([Insert(record(2))], entry())
    seen.append(catalog.version())
    assert seen == sorted(set(seen))


def test_the_audit_is_one_unbroken_chain_that_can_be_read_from_anywhere(catalog: Any) -> None:
    catalog.commit([Insert(known(1, KeyState.ACTIVE))], entry("first", deep={"b": [1, "ü"], "a": None}))
    for number in range(1200):
        catalog.record_signatures(known(1, KeyState.ACTIVE), entry("token.signed", number=number))
    trail = list(catalog.audit())
    assert check_chain(trail) == 1201
    assert list(catalog.audit(after=1199)) == trail[1199:]
    assert list(catalog.audit(after=1201)) == []


def test_many_threads_committing_lose_nothing(catalog: Any) -> None:
    failures: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for number in range(start, start + 20):
                catalog.commit([Insert(record(number))], entry())
        except BaseException as error:  # noqa: BLE001 reported by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(start * 100,)) for start in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(catalog.records()) == 100
    assert check_chain(catalog.audit()) == 100


def test_a_race_for_one_generation_has_one_winner(catalog: Any) -> None:
    catalog.commit([Insert(record(1))], entry())
    barrier, won = threading.Barrier(6), []

    def race(number: int) -> None:
        barrier.wait()
        try:
            catalog.commit([Replace(record(1, generation=2, backend=f"b{number}"))], entry())
            won.append(number)
        except sw.RefusedError:
            pass

    threads = [threading.Thread(target=race, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert catalog.records()[0].backend == f"b{won[0]}"
