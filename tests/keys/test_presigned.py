"""A token is handed out again only while its key signs, its catalog is in reach and half of its life is left."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from world import WHO, World

import sealwright as sw
from sealwright.jose import compact
from sealwright.keys.managed_signer import SignedToken
from sealwright.keys.presigned import ENTRY_BYTES, PresignedTokens, Question

LIFETIME_S = 100.0


class Desk:
    """Asks one cache in the name of a caller."""

    def __init__(self, world: World, **limits: Any) -> None:
        self.world = world
        self.age_s = 0.0
        self.kept = PresignedTokens(world.clock, age_s=lambda: self.age_s, **limits)

    def ask(self, what: str = "orders", actor: str = "alice") -> tuple[SignedToken, int, bool]:
        question = Question("default", actor, hashlib.sha256(what.encode()).digest())
        return self.kept.token(self.world.signer, question, LIFETIME_S, lambda: self.sign(actor))

    def sign(self, actor: str) -> SignedToken:
        return self.world.signer.sign(b"{}", typ="at+jwt", actor=actor)

    def reused(self) -> list[Any]:
        entries = [entry for entry in self.world.stored.audit() if entry.action == "token.reused"]
        return [one for entry in entries for one in entry.facts["reused"]]


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def test_the_same_question_has_the_same_token_until_half_of_its_life(desk: Desk) -> None:
    first, left_s, reused = desk.ask()
    assert (left_s, reused) == (100, False)
    desk.world.clock.advance(49)
    assert desk.ask() == (first, 51, True)
    desk.world.clock.advance(1)
    assert desk.ask()[2] is False


def test_another_question_or_another_caller_has_another_token(desk: Desk) -> None:
    desk.ask()
    assert desk.ask("invoices")[2] is False
    assert desk.ask(actor="bob")[2] is False


@pytest.mark.parametrize("move", ["rotate", "emergency_rotate"])
def test_a_key_that_stepped_down_takes_its_tokens_along_at_once(desk: Desk, move: str) -> None:
    first = desk.ask()[0]
    desk.world.clock.advance(10)
    forced = {"force": True} if move == "rotate" else {}
    getattr(desk.world.keys, move)("default", **WHO, **forced)
    second, _, reused = desk.ask()
    assert not reused
    assert second.key_id != first.key_id


def test_a_change_of_another_issuer_takes_nothing_away(desk: Desk) -> None:
    desk.ask()
    desk.world.keys.open_issuer("other", algorithm="Ed25519", **WHO)
    assert desk.ask()[2] is True


def test_a_rotation_while_the_token_is_signed_keeps_nothing(desk: Desk) -> None:
    def rotate() -> None:
        desk.world.mend()
        desk.world.keys.rotate("default", **WHO, force=True)

    desk.world.backend.after_call = rotate
    desk.ask()
    assert len(desk.kept) == 0


def test_without_news_from_the_catalog_nothing_is_handed_out_again(desk: Desk) -> None:
    desk.ask()
    desk.age_s = 10.0
    assert desk.ask()[2] is True
    desk.age_s = 10.1
    with pytest.raises(sw.UnavailableError) as caught:
        desk.ask()
    assert caught.value.reason == "catalog.unavailable"


def test_the_cache_is_bounded_in_entries_and_in_bytes(world: World) -> None:
    few = Desk(world, most_entries=2)
    for what in ("a", "b", "a", "c"):
        few.ask(what)
    assert len(few.kept) == 2
    assert few.ask("a")[2] is True  # the least recently used one went
    assert few.ask("b")[2] is False
    small = Desk(world, most_bytes=3 * ENTRY_BYTES)
    for what in "abcdef":
        small.ask(what)
    assert len(small.kept) == 2


def test_how_often_a_token_was_handed_out_again_is_in_the_audit(desk: Desk) -> None:
    token = desk.ask()[0]
    desk.ask()
    desk.ask()
    desk.kept.flush(desk.world.catalog)
    digest = hashlib.sha256(compact.parse(token.token).signature).hexdigest()
    (one,) = desk.reused()
    assert one == {
        "issuer": "default",
        "actor": "alice",
        "key_id": token.key_id,
        "signature_sha256": digest,
        "times": 2,
    }
    desk.kept.flush(desk.world.catalog)
    assert len(desk.reused()) == 1


def test_what_could_not_be_written_is_written_the_next_time(desk: Desk) -> None:
    def down() -> None:
        raise sw.UnavailableError(sw.Reason.CATALOG_UNAVAILABLE, "down")

    desk.ask()
    desk.ask()
    desk.world.catalog.before_call = down
    with pytest.raises(sw.UnavailableError):
        desk.kept.flush(desk.world.catalog)
    desk.world.mend()
    desk.kept.flush(desk.world.catalog)
    assert [one["times"] for one in desk.reused()] == [1]


def test_a_clock_that_was_set_back_brings_no_token_back(desk: Desk) -> None:
    desk.ask()
    desk.world.clock.advance(-5)
    assert desk.ask()[2] is False
