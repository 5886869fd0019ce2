"""Nonces that any worker makes and any other knows, for a while and in one region."""

from __future__ import annotations

from typing import Any

import pytest
from binding_parts import bound_token, each_way, evidence, proof_of, verifier
from hypothesis import given
from hypothesis import strategies as st

from sealwright.clock import ManualClock
from sealwright.errors import ConfigurationError, Reason
from sealwright.trust.bearer import challenge, dpop_challenge, nonce_headers, status
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.dpop_nonces import DpopNonces, NonceError

OLD, NEW = b"o" * 32, b"n" * 32


def knows(nonces: DpopNonces, nonce: object, now: float) -> bool:
    try:
        nonces.check(nonce, now)
    except NonceError as error:
        nonces.check(error.nonce, now)  # the one that it hands out is good
        return False
    return True


def test_workers_with_one_secret_know_each_other_s_nonces(clock: ManualClock) -> None:
    one, other = DpopNonces([NEW], region="eu"), DpopNonces([NEW], region="eu")
    assert knows(other, one.next(clock.now()), clock.now())
    assert not knows(DpopNonces([OLD], region="eu"), one.next(clock.now()), clock.now())


@pytest.mark.parametrize(("later_s", "known"), [(-301, False), (-299, True), (0, True), (599, True), (601, False)])
def test_a_nonce_is_good_in_its_slot_and_the_next_and_for_a_clock_that_is_behind(later_s: float, known: bool) -> None:
    nonces, start = DpopNonces([NEW]), 300.0 * 5_000_000
    assert knows(nonces, nonces.next(start), start + later_s) == known


def test_a_nonce_of_another_region_is_none_of_ours(clock: ManualClock) -> None:
    eu, us = DpopNonces([NEW], region="eu"), DpopNonces([NEW], region="us")
    nonce = eu.next(clock.now())
    assert not knows(us, nonce, clock.now())
    assert not knows(us, "us" + nonce.removeprefix("eu"), clock.now())


def test_a_secret_is_replaced_without_refusing_anybody(clock: ManualClock) -> None:
    before, during, after = DpopNonces([OLD]), DpopNonces([NEW, OLD]), DpopNonces([NEW])
    assert knows(during, before.next(clock.now()), clock.now())
    assert knows(after, during.next(clock.now()), clock.now())
    assert not knows(after, before.next(clock.now()), clock.now())


@pytest.mark.parametrize("nonce", [None, 5, "", "..", "x", ".1.", ".-1." + "A" * 22, "." + "9" * 40 + "." + "A" * 22])
def test_what_is_no_nonce_is_not_known(clock: ManualClock, nonce: object) -> None:
    assert not knows(DpopNonces([NEW]), nonce, clock.now())


@given(at=st.integers(0, 80), bit=st.integers(0, 7))
def test_a_nonce_that_was_changed_anywhere_is_not_known(at: int, bit: int) -> None:
    nonces, now = DpopNonces([NEW], region="eu-1"), 1_700_000_000.0
    good = nonces.next(now).encode()
    at %= len(good)
    bad = good[:at] + bytes([good[at] ^ (1 << bit)]) + good[at + 1 :]
    assert not knows(nonces, bad.decode("latin-1"), now)


def test_once_nonces_are_given_a_proof_without_one_is_refused_and_told_the_next(clock: ManualClock) -> None:
    rules = DpopProofs(nonces=DpopNonces([NEW], region="eu"))
    text = bound_token(clock)
    decision = each_way(lambda: verifier(clock, dpop=rules), text, evidence(proof_of(text, clock)))
    assert decision.reason == Reason.BINDING_NONCE
    assert decision.error is not None
    nonce = nonce_headers(decision.error)["DPoP-Nonce"]
    assert decision.to_dict()["dpop_nonce"] == nonce
    assert each_way(lambda: verifier(clock, dpop=rules), text, evidence(proof_of(text, clock, nonce=nonce))).accepted
    assert "dpop_nonce" not in each_way(lambda: verifier(clock), text, evidence()).to_dict()
    told = dpop_challenge(decision.error, realm="orders", algorithms=rules.algorithms)
    assert 'error="use_dpop_nonce"' in told
    assert status(decision.error) == 401
    assert challenge(decision.error, realm="orders").startswith('Bearer realm="orders", error="invalid_token"')
    clock.advance(901)
    stale = evidence(proof_of(text, clock, nonce=nonce))
    assert each_way(lambda: verifier(clock, dpop=rules), bound_token(clock), stale).reason == Reason.BINDING_PROOF
    text = bound_token(clock)
    stale = evidence(proof_of(text, clock, nonce=nonce))
    assert each_way(lambda: verifier(clock, dpop=rules), text, stale).reason == Reason.BINDING_NONCE


@pytest.mark.parametrize(
    "given",
    [
        {"secrets": []}, {"secrets": [b"short"]}, {"secrets": [NEW, b""]}, {"secrets": [NEW], "slot_s": 0},
        {"secrets": [NEW], "slot_s": float("nan")}, {"secrets": [NEW], "slot_s": float("inf")},
        {"secrets": [NEW], "region": "a.b"}, {"secrets": [NEW], "region": "r" * 33}, {"secrets": [NEW], "region": "ü"},
    ],
)  # fmt: skip
def test_nonces_that_cannot_be_safe_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DpopNonces(**given)
    assert caught.value.reason == Reason.SETTINGS_INVALID


def test_the_secret_is_not_shown() -> None:
    assert "n" * 32 not in repr(DpopNonces([NEW]))
