"""What is remembered about single tokens, on every catalog: as long as they live, and for no more than have room."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest

from sealwright.clock import ManualClock
from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.keys import token_statuses
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import Mark
from sealwright.keys.token_status import TokenStatus
from sealwright.keys.token_statuses import TokenStatuses, Verb
from sealwright.statements.revoked_keys import token_digest
from sealwright.statements.status_list import INVALID, SUSPENDED, VALID

SOON_S = 900.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(catalog: Any, clock: ManualClock) -> TokenStatuses:
    return TokenStatuses(catalog, clock)


def change(tokens: TokenStatuses, verb: Verb, jti: str, clock: ManualClock, issuer: str = "default") -> TokenStatus:
    digest, until = token_digest(jti), clock.now() + SOON_S
    return tokens.change(verb, issuer, digest, expires_at=until, actor="me", reason="stolen")


def refused(*given: Any) -> Reason:
    with pytest.raises(RefusedError) as caught:
        change(*given)
    return caught.value.reason


def test_a_revoked_token_is_known_by_its_issuer_and_jti_alone(tokens: TokenStatuses, clock: ManualClock) -> None:
    change(tokens, "revoke", "a", clock)
    assert [tokens.status("default", jti) for jti in ("a", "b")] == [INVALID, VALID]
    assert tokens.status("other", "a") == VALID
    assert tokens.in_feed("default") == [token_digest("a")]


def test_a_change_is_written_with_its_audit_entry_and_seen_by_every_version(
    tokens: TokenStatuses, catalog: Any, clock: ManualClock
) -> None:
    before = catalog.version()
    change(tokens, "revoke", "a", clock)
    change(tokens, "revoke", "a", clock)  # is so already
    assert catalog.version() == before + 1
    (entry,) = catalog.audit(action="token.revoked")
    assert (entry.issuer, entry.actor, entry.reason, entry.facts["token"]) == (
        *("default", "me", "stolen"),
        token_digest("a"),
    )


def test_a_place_changes_nothing_that_others_see(tokens: TokenStatuses, catalog: Any, clock: ManualClock) -> None:
    before, trail = catalog.version(), list(catalog.audit())
    (placed,) = tokens.place("default", [("a", clock.now() + SOON_S)])
    assert (catalog.version(), list(catalog.audit())) == (before, trail)
    assert placed.list_id == 0
    assert placed.place is not None
    assert tokens.listed("default", 0).status(placed.place) == VALID
    for verb, status in (("suspend", SUSPENDED), ("restore", VALID), ("suspend", SUSPENDED), ("revoke", INVALID)):
        change(tokens, verb, "a", clock)  # type: ignore[arg-type]
        assert tokens.listed("default", 0).status(placed.place) == status
        assert tokens.status("default", "a") == status
        assert tokens.in_feed("default") == ([token_digest("a")] if status == INVALID else [])
    assert not any(tokens.listed("default", 1).octets)
    assert not any(tokens.listed("other", 0).octets)


def test_what_is_revoked_stays_so_and_what_has_no_place_cannot_be_suspended(
    tokens: TokenStatuses, clock: ManualClock
) -> None:
    tokens.place("default", [("placed", clock.now() + SOON_S)])
    change(tokens, "revoke", "placed", clock)
    assert refused(tokens, "restore", "placed", clock) == Reason.GUARD_TOKEN_STATUSES
    assert refused(tokens, "suspend", "placed", clock) == Reason.GUARD_TOKEN_STATUSES
    assert refused(tokens, "suspend", "unknown", clock) == Reason.GUARD_TOKEN_STATUSES


def test_a_reason_is_needed(tokens: TokenStatuses) -> None:
    with pytest.raises(RefusedError) as caught:
        tokens.change("revoke", "default", "d", expires_at=5.0, actor="me", reason="routine")
    assert caught.value.reason == Reason.MOVE_REASON_MISSING


def test_places_are_spread_and_nobody_shares_one(tokens: TokenStatuses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_statuses, "LIST_SIZE", 64)
    placed = [tokens.place("default", [(f"{n}-{k}", 9e9) for k in range(10)]) for n in range(12)]
    where = [(one.list_id, one.place) for batch in placed for one in batch]
    assert len(set(where)) == 120
    assert {list_id for list_id, _ in where} >= {0, 1}  # the first list was too full to go on with
    with pytest.raises(RefusedError) as caught:
        tokens.place("default", [(f"more-{k}", 9e9) for k in range(600)])
    assert caught.value.reason == Reason.GUARD_TOKEN_STATUSES
    tokens.place("other", [("0-0", 9e9)])


def test_one_jti_has_one_place(tokens: TokenStatuses) -> None:
    tokens.place("default", [("a", 9e9)])
    for batch in ([("a", 9e9)], [("b", 9e9), ("b", 9e9)]):
        with pytest.raises(RejectedError) as caught:
            tokens.place("default", batch)
        assert caught.value.reason == Reason.CLAIMS_MALFORMED


def test_the_expired_are_forgotten_once_no_list_that_named_them_counts(
    tokens: TokenStatuses, catalog: Any, clock: ManualClock
) -> None:
    tokens.place("default", [("placed", clock.now() + SOON_S)])
    change(tokens, "revoke", "placed", clock)
    change(tokens, "revoke", "a", clock)
    clock.advance(SOON_S + 119)  # somebody's leeway may still let it in
    assert len(tokens.in_feed("default")) == 2
    clock.advance(2)
    assert tokens.in_feed("default") == []
    assert any(tokens.listed("default", 0).octets)
    assert catalog.forget_tokens(clock.now()) == 0
    clock.advance(300)
    assert catalog.forget_tokens(clock.now()) == 2
    assert catalog.marked_tokens() == []
    assert catalog.token("default", token_digest("placed")) is None


def test_there_is_a_limit_and_it_says_what_to_do(
    tokens: TokenStatuses, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_statuses, "MOST_IN_FEED", 3)
    tokens.place("default", [("placed", clock.now() + SOON_S)])
    for jti in ("a", "b", "c"):
        change(tokens, "revoke", jti, clock)
    assert refused(tokens, "revoke", "d", clock) == Reason.GUARD_TOKEN_STATUSES
    change(tokens, "revoke", "a", clock)  # is so already
    change(tokens, "revoke", "d", clock, "other")
    change(tokens, "revoke", "placed", clock)  # its list has room, and the feed leaves it out
    assert tokens.status("default", "placed") == INVALID
    assert token_digest("placed") not in tokens.in_feed("default")
    clock.advance(SOON_S + 121)
    change(tokens, "revoke", "d", clock)


def test_of_those_who_change_one_token_at_once_none_undoes_a_revocation(
    tokens: TokenStatuses, catalog: Any, clock: ManualClock
) -> None:
    for number in range(5):
        jti = f"t{number}"
        tokens.place("default", [(jti, clock.now() + SOON_S)])
        verbs: list[Verb] = ["suspend", "restore", "revoke", "suspend", "restore", "revoke"]

        def run(verb: Verb, jti: str = jti) -> None:
            with contextlib.suppress(RefusedError):
                change(TokenStatuses(catalog, clock), verb, jti, clock)

        threads = [threading.Thread(target=run, args=(verb,)) for verb in verbs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        change(tokens, "revoke", jti, clock)
        assert tokens.status("default", jti) == INVALID
        assert len(list(catalog.audit(action="token.revoked"))) == number + 1


def test_a_mark_needs_the_status_before_it(catalog: Any) -> None:
    entry = AuditEntry(1.0, "me", "test", "default", None, "because", {})
    token = TokenStatus("default", "d", INVALID, 9e9)
    for before in (VALID, SUSPENDED):
        with pytest.raises(RefusedError):
            catalog.commit([Mark(token, before)], entry)
    catalog.commit([Mark(token, None)], entry)
    for wrong in (None, VALID):
        with pytest.raises(RefusedError):
            catalog.commit([Mark(token, wrong)], entry)
    assert catalog.token("default", "d") == token
    assert len(list(catalog.audit())) == 1


def test_what_changed_since_a_version_is_read_alone(tokens: TokenStatuses, catalog: Any, clock: ManualClock) -> None:
    tokens.place("default", [("placed", clock.now() + SOON_S)])
    change(tokens, "revoke", "a", clock)
    before = catalog.version()
    assert catalog.marked_tokens(before) == []
    change(tokens, "suspend", "placed", clock)
    change(tokens, "revoke", "b", clock, "other")
    assert {one.digest for one in catalog.marked_tokens(before)} == {token_digest("placed"), token_digest("b")}
    before = catalog.version()
    change(tokens, "restore", "placed", clock)
    assert [(one.digest, one.status) for one in catalog.marked_tokens(before)] == [(token_digest("placed"), VALID)]
    assert {one.digest for one in catalog.marked_tokens()} == {token_digest("a"), token_digest("b")}
    fresh = TokenStatuses(catalog, clock)
    assert {one.digest for one in tokens.marked("default")} == {one.digest for one in fresh.marked("default")}


def test_of_two_processes_each_sees_what_the_other_marked(catalog: Any, clock: ManualClock) -> None:
    one, other = TokenStatuses(catalog, clock), TokenStatuses(catalog, clock)
    for number in range(6):
        here, there = (one, other) if number % 2 else (other, one)
        change(here, "revoke", f"t{number}", clock)
        assert [there.status("default", f"t{seen}") for seen in range(number + 1)] == [INVALID] * (number + 1)


def test_a_place_that_is_given_again_says_nothing_of_who_had_it_before(
    tokens: TokenStatuses, catalog: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_statuses, "LIST_SIZE", 8)
    monkeypatch.setattr(token_statuses, "LISTS", 1)
    monkeypatch.setattr(token_statuses, "_ROUNDS", 200)
    for number in range(8):
        tokens.place("default", [(f"old{number}", clock.now() + SOON_S)])
        change(tokens, "revoke", f"old{number}", clock)
    assert tokens.listed("default", 0).octets == b"\x55\x55"
    clock.advance(SOON_S + 421)
    assert catalog.forget_tokens(clock.now()) == 8
    for number in range(8):
        tokens.place("default", [(f"new{number}", clock.now() + SOON_S)])
    assert not any(tokens.listed("default", 0).octets)


def test_the_sequence_of_an_issuer_moves_with_its_own_tokens(tokens: TokenStatuses, clock: ManualClock) -> None:
    assert tokens.sequence("default") == 0
    change(tokens, "revoke", "a", clock)
    first = tokens.sequence("default")
    change(tokens, "revoke", "a", clock, "other")
    assert tokens.sequence("default") == first > 0
    change(tokens, "revoke", "b", clock)
    assert tokens.sequence("default") > tokens.sequence("other") > first


def test_a_revocation_lasts_as_long_as_the_latest_end_that_was_named(tokens: TokenStatuses, clock: ManualClock) -> None:
    for ends_s in (0.0, 9000.0, 900.0):  # the first one says that it is over already
        ends_at = clock.now() + ends_s
        tokens.change("revoke", "default", token_digest("a"), expires_at=ends_at, actor="me", reason="stolen")
    clock.advance(8000.0)
    change(tokens, "revoke", "b", clock)  # what is over is dropped with the next change
    assert tokens.status("default", "a") == INVALID
    assert token_digest("a") in tokens.in_feed("default")
