"""What every KeyCatalog does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

import sealwright as sw
from sealwright.keys.audit import AuditEntry, check_chain, head_of, start_of
from sealwright.keys.catalog import LEASE_S, Document, Insert, Put, Remove, Replace
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


def run_threads(work: Callable[[Any], object], arguments: Iterable[Any]) -> None:
    failures: list[BaseException] = []

    def run(argument: Any) -> None:
        try:
            work(argument)
        except BaseException as error:  # noqa: BLE001 reported by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(argument,)) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


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


def document(generation: int = 1, name: str = "one", **body: Any) -> Document:
    return Document("policy", name, {"deep": {"b": [1, "ü"], "a": None}, **body}, generation)


def test_a_document_comes_back_as_it_was_written_under_its_kind_and_name(catalog: Any) -> None:
    other = Document("approval", "one", {})
    catalog.commit([Put(document()), Put(document(name="two")), Put(other)], entry())
    assert catalog.documents("policy") == {"one": document(), "two": document(name="two")}
    assert catalog.documents("approval") == {"one": other}
    assert catalog.documents("nothing") == {}
    assert (catalog.document("policy", "two"), catalog.document("approval", "one")) == (document(name="two"), other)
    assert (catalog.document("approval", "two"), catalog.document("nothing", "one")) == (None, None)


def test_a_document_changes_only_from_the_generation_before(catalog: Any) -> None:
    refused(catalog, Put(document(2)))
    catalog.commit([Put(document())], entry())
    refused(catalog, Put(document()))
    refused(catalog, Put(document(3)))
    catalog.commit([Put(document(2, more=True))], entry())
    refused(catalog, Put(document(2)))
    assert catalog.documents("policy") == {"one": document(2, more=True)}


def test_a_document_is_removed_only_at_its_generation_and_may_begin_anew(catalog: Any) -> None:
    refused(catalog, Remove(document()))
    catalog.commit([Put(document())], entry())
    refused(catalog, Remove(document(2)))
    catalog.commit([Remove(document())], entry())
    assert catalog.documents("policy") == {}
    refused(catalog, Remove(document()))
    catalog.commit([Put(document())], entry())


def test_records_documents_and_their_entry_are_one_transaction(catalog: Any) -> None:
    catalog.commit([Put(document())], entry())
    refused(catalog, Insert(record(1)), Put(document()))
    refused(catalog, Put(document(2)), Replace(record(1, generation=2)))
    refused(catalog, Remove(document()), Insert(known(1, KeyState.ACTIVE)), Insert(known(2, KeyState.ACTIVE)))
    assert catalog.documents("policy") == {"one": document()}
    catalog.commit([Insert(record(1)), Put(document(2))], entry("both"))
    assert (len(catalog.records()), catalog.documents("policy")["one"].generation) == (1, 2)
    assert [one.action for one in catalog.audit()] == ["test", "both"]


def test_there_is_one_standby_for_each_issuer_purpose_and_algorithm(catalog: Any) -> None:
    catalog.commit([Insert(known(1, KeyState.STANDBY))], entry())
    refused(catalog, Insert(known(2, KeyState.STANDBY)))
    catalog.commit([Insert(known(3, KeyState.STANDBY, algorithm="RS256"))], entry())
    catalog.commit([Insert(known(4, KeyState.STANDBY, purpose="trust-root"))], entry())


def test_delegated_keys_are_not_counted(catalog: Any) -> None:
    delegated = [known(n, KeyState.ACTIVE, purpose="delegated", parent="kid-1", expires_at=NOW) for n in (2, 3)]
    catalog.commit([Insert(known(1, KeyState.ACTIVE)), *map(Insert, delegated)], entry())
    assert catalog.records()[1:] == delegated


def test_a_turn_has_one_holder_who_may_take_it_again(catalog: Any) -> None:
    inside: list[int] = []
    most = []

    def work(number: int) -> None:
        with catalog.turn("issuer:default"), catalog.turn("issuer:default", wait_s=0):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.02)
            inside.remove(number)

    run_threads(work, range(6))
    assert most == [1] * 6


def test_turns_of_other_names_do_not_wait_and_a_taken_one_is_not_waited_for_longer_than_asked(catalog: Any) -> None:
    answers: list[object] = []

    def ask(wait_s: float) -> None:
        with catalog.turn(f"other {wait_s}", wait_s=0):
            answers.append("other")
        try:
            with catalog.turn("issuer:default", wait_s=wait_s):
                answers.append("taken twice")
        except sw.UnavailableError as error:
            answers.append(str(error.reason))

    with catalog.turn("issuer:default"):
        run_threads(ask, [0, 0.05])
    assert sorted(map(str, answers)) == ["catalog.busy", "catalog.busy", "other", "other"]
    with catalog.turn("issuer:default", wait_s=0):
        pass


def test_a_turn_ends_with_an_error_and_passes_the_error_on(catalog: Any) -> None:
    with pytest.raises(ZeroDivisionError), catalog.turn("issuer:default"):
        _ = 1 / 0
    run_threads(lambda _: catalog.turn("issuer:default", wait_s=0).__enter__(), [1])


def test_entries_can_be_asked_for_by_what_they_did(catalog: Any) -> None:
    for number in range(4):
        catalog.commit([], entry("odd" if number % 2 else "even"))
    assert [one.sequence for one in catalog.audit(action="odd")] == [2, 4]
    assert [one.sequence for one in catalog.audit(writer=catalog.writer, after=2, action="odd")] == [4]
    assert list(catalog.audit(writer="nobody")) == []


def test_a_chain_says_where_it_begins_and_ends(catalog: Any) -> None:
    assert (catalog.writers(), catalog.chains()) == ([], [])
    for _ in range(3):
        catalog.commit([], entry())
    assert catalog.writers() == [catalog.writer]
    (chain,) = catalog.chains()
    assert (chain.before, chain.head) == (start_of(catalog.writer), head_of(list(catalog.audit())[-1]))


def test_the_oldest_entries_are_pruned_up_to_a_known_one_and_never_the_last(catalog: Any) -> None:
    active = known(1, KeyState.ACTIVE)
    catalog.commit([Insert(active)], entry())
    for _ in range(9):
        catalog.record_signatures(active, entry("token.signed"))
    trail = list(catalog.audit())
    for wrong in (
        replace(head_of(trail[4]), digest="f" * 64),
        head_of(trail[9]),
        replace(head_of(trail[4]), writer="x"),
    ):
        with pytest.raises(sw.RefusedError):
            catalog.prune_audit(wrong, most=100)
    assert [catalog.prune_audit(head_of(trail[5]), most=4), catalog.prune_audit(head_of(trail[5]), most=4)] == [4, 2]
    assert list(catalog.audit()) == trail[6:]
    assert catalog.chains()[0].before == head_of(trail[5])
    catalog.record_signatures(active, entry("token.signed"))
    assert check_chain(catalog.audit(), before=head_of(trail[5])) == 11
    assert catalog.records()[0].last_signed_at == NOW


def test_a_store_that_has_just_answered_is_confirmed(catalog: Any) -> None:
    catalog.version()
    assert catalog.confirmed_age_s() < LEASE_S
