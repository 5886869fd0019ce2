"""A token that is bound to a key counts from the holder of that key, and from nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from binding_parts import (
    AUDIENCE,
    ISSUER,
    ISSUER_KEY,
    JKT,
    X5T,
    OnceEach,
    bound_token,
    each_way,
    evidence,
    parts,
    proof_of,
    signed,
    token,
    verifier,
)

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.trust.binding import Binding
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.evidence import Evidence
from sealwright.trust.sources.static import StaticKeys

OTHER = sw.PrivateJWK.generate("ES256")


def reason_of(clock: ManualClock, text: str, shown: Evidence, **changes: Any) -> Reason | None:
    decision = each_way(lambda: verifier(clock, **changes), text, shown)
    assert decision.accepted == (decision.reason is None)
    return decision.reason


def test_the_holder_is_accepted_by_every_entry_point_and_the_caller_learns_what_was_proven(clock: ManualClock) -> None:
    text = bound_token(clock)
    decision = each_way(lambda: verifier(clock), text, evidence(proof_of(text, clock)))
    assert decision.verified is not None
    assert decision.verified.confirmation == {"jkt": JKT}
    assert (decision.steps or ())[-1].check == "binding"


@pytest.mark.parametrize("cnf", [{"jkt": JKT}, {"x5t#S256": X5T}, {"jkt": JKT, "x5t#S256": X5T}])
@pytest.mark.parametrize("scheme", ["bearer", "dpop", None])
def test_a_bound_token_without_evidence_is_never_a_bearer_token(
    clock: ManualClock, cnf: dict[str, str], scheme: Any
) -> None:
    shown = Evidence(method="POST", url="https://orders.example/", scheme=scheme)
    expected = Reason.BINDING_MISMATCH if scheme == "dpop" and "jkt" not in cnf else Reason.BINDING_MISSING
    assert reason_of(clock, bound_token(clock, **cnf), shown) == expected


@pytest.mark.parametrize(
    "cnf",
    [
        {"kid": "k"}, {"jwk": {"kty": "EC"}}, {"jkt": JKT, "jku": "https://x.example"}, {"x5t": X5T}, {}, [],
        None, "jkt", {"jkt": 5}, {"jkt": None}, {"jkt": JKT + "="}, {"jkt": JKT[:-1]},
        {"x5t#S256": X5T.encode().hex()}, {"jkt": ""},
    ],
)  # fmt: skip
def test_a_binding_that_is_not_understood_is_refused_whatever_came_with_it(clock: ManualClock, cnf: Any) -> None:
    text = token(clock, cnf=cnf)
    shown = evidence(proof_of(text, clock), certificate_thumbprint=X5T)
    assert reason_of(clock, text, shown) == Reason.BINDING_UNSUPPORTED


def test_a_stolen_token_is_worth_nothing_with_the_thief_s_own_proof(clock: ManualClock) -> None:
    text = bound_token(clock)
    assert reason_of(clock, text, evidence(proof_of(text, clock, OTHER))) == Reason.BINDING_MISMATCH
    owners = proof_of(token(clock, cnf={"jkt": JKT}, jti="another"), clock)
    assert reason_of(clock, text, evidence(owners)) == Reason.BINDING_PROOF


def test_a_dpop_bound_token_is_refused_under_the_bearer_scheme_even_with_its_proof(clock: ManualClock) -> None:
    text = bound_token(clock)
    shown = evidence(proof_of(text, clock), scheme="bearer")
    assert reason_of(clock, text, shown) == Reason.BINDING_MISSING
    assert reason_of(clock, text, evidence(proof_of(text, clock), scheme=None)) is None


@pytest.mark.parametrize(("scheme", "proofs"), [("dpop", 0), ("dpop", 1), ("bearer", 1), (None, 1)])
def test_a_token_that_is_bound_to_no_proof_key_is_refused_with_one(
    clock: ManualClock, scheme: Any, proofs: int
) -> None:
    for text in (token(clock), bound_token(clock, **{"x5t#S256": X5T})):
        shown = evidence(*[proof_of(text, clock)] * proofs, scheme=scheme, certificate_thumbprint=X5T)
        assert reason_of(clock, text, shown) == Reason.BINDING_MISMATCH


def test_a_bearer_token_stays_one_where_nothing_is_required(clock: ManualClock) -> None:
    assert reason_of(clock, token(clock), Evidence(scheme="bearer")) is None
    assert reason_of(clock, token(clock), Evidence()) is None


def test_an_issuer_s_tokens_can_be_required_to_be_bound(clock: ManualClock) -> None:
    text, certified = bound_token(clock), bound_token(clock, **{"x5t#S256": X5T})
    by_proof = evidence(proof_of(text, clock))
    by_certificate = Evidence(scheme="bearer", certificate_thumbprint=X5T)
    either, proof_only = frozenset({"jkt", "x5t#S256"}), frozenset({"jkt"})
    assert reason_of(clock, token(clock), by_certificate, one_of_required=either) == Reason.BINDING_MISSING
    assert reason_of(clock, text, by_proof, one_of_required=either) is None
    assert reason_of(clock, certified, by_certificate, one_of_required=either) is None
    assert reason_of(clock, certified, by_certificate, one_of_required=proof_only) == Reason.BINDING_MISSING


@pytest.mark.parametrize(
    ("thumbprint", "expected"),
    [(X5T, None), (JKT, Reason.BINDING_MISMATCH), (None, Reason.BINDING_MISSING)],
    ids=["its own", "another", "none"],
)
def test_a_token_of_a_certificate_needs_that_certificate(clock: ManualClock, thumbprint: Any, expected: Any) -> None:
    shown = Evidence(scheme="bearer", certificate_thumbprint=thumbprint)
    assert reason_of(clock, bound_token(clock, **{"x5t#S256": X5T}), shown) == expected


def test_a_token_with_both_bindings_needs_both(clock: ManualClock) -> None:
    text = bound_token(clock, **{"jkt": JKT, "x5t#S256": X5T})
    proof, thief = proof_of(text, clock), proof_of(text, clock, OTHER)
    assert reason_of(clock, text, evidence(proof, certificate_thumbprint=X5T)) is None
    assert reason_of(clock, text, evidence(proof)) == Reason.BINDING_MISSING
    assert reason_of(clock, text, evidence(proof, certificate_thumbprint=JKT)) == Reason.BINDING_MISMATCH
    assert reason_of(clock, text, evidence(thief, certificate_thumbprint=X5T)) == Reason.BINDING_MISMATCH
    assert reason_of(clock, text, evidence(certificate_thumbprint=X5T)) == Reason.BINDING_MISSING


def test_a_proof_counts_once_for_as_long_as_it_would_be_good(clock: ManualClock) -> None:
    claims = OnceEach(clock)
    one, text = verifier(clock, claims), bound_token(clock)
    shown = evidence(proof_of(text, clock))
    assert one.decide(text, evidence=shown).accepted
    for _ in range(8):
        assert one.decide(text, evidence=shown).reason == Reason.REPLAY_SEEN_BEFORE
        clock.advance(9)
    assert one.decide(text, evidence=shown).reason == Reason.BINDING_PROOF
    assert one.decide(text, evidence=evidence(proof_of(text, clock))).accepted


def test_a_proof_from_ahead_of_time_is_remembered_until_its_own_end(clock: ManualClock) -> None:
    claims = OnceEach(clock)
    one, text = verifier(clock, claims), bound_token(clock)
    ahead = ManualClock(clock.now() + 9)
    shown = evidence(proof_of(text, ahead))
    assert one.decide(text, evidence=shown).accepted
    clock.advance(78)
    assert one.decide(text, evidence=shown).reason == Reason.REPLAY_SEEN_BEFORE


def test_a_proof_is_remembered_for_verifiers_whose_clocks_lie_four_minutes_apart(clock: ManualClock) -> None:
    claims, behind, text = OnceEach(clock), ManualClock(clock.now() - 240), bound_token(clock)
    fast, slow = verifier(clock, claims), verifier(behind, claims)
    shown = evidence(proof_of(text, ManualClock(clock.now() - 69)))
    assert fast.decide(text, evidence=shown).accepted
    for one in (clock, behind):
        one.advance(239)
    assert slow.decide(text, evidence=shown).reason == Reason.REPLAY_SEEN_BEFORE


def test_nothing_is_claimed_for_a_proof_that_does_not_hold(clock: ManualClock) -> None:
    claims = OnceEach(clock)
    one, text = verifier(clock, claims), bound_token(clock)
    good = proof_of(text, clock)
    spoiled = good[:-8] + ("A" * 8 if not good.endswith("A" * 8) else "B" * 8)
    for bad in (spoiled, proof_of(text, clock, OTHER), proof_of("a.b.c", clock), "x"):
        assert not one.decide(text, evidence=evidence(bad)).accepted
    assert not claims.asked
    assert one.decide(text, evidence=evidence(good)).accepted


def test_one_client_cannot_use_up_the_identifier_of_another(clock: ManualClock) -> None:
    claims = OnceEach(clock)
    one = verifier(clock, claims)
    for key in (sw.PrivateJWK.generate("ES256"), OTHER):
        text = bound_token(clock, jkt=key.public.thumbprint())
        header, members = parts(proof_of(text, clock, key))
        shown = evidence(signed(header, {**members, "jti": "the same"}, key))
        assert one.decide(text, evidence=shown).accepted
        assert one.decide(text, evidence=shown).reason == Reason.REPLAY_SEEN_BEFORE


def test_a_store_that_is_down_leaves_it_undecided(clock: ManualClock) -> None:
    class Down(OnceEach):
        def claim(self, key: bytes, ttl_s: float) -> bool:
            raise UnavailableError(Reason.REPLAY_UNAVAILABLE, "gone")

    text = bound_token(clock)
    decision = each_way(lambda: verifier(clock, Down(clock)), text, evidence(proof_of(text, clock)))
    assert (decision.outcome, decision.reason) == ("undecided", Reason.REPLAY_UNAVAILABLE)


def test_proofs_are_not_taken_where_there_are_no_rules_for_them(clock: ManualClock) -> None:

    policy = sw.VerificationPolicy(issuer=ISSUER, audience=AUDIENCE)
    trusted = sw.TrustedIssuer(policy, StaticKeys(ISSUER_KEY.public), Binding())
    text = bound_token(clock)
    decision = sw.Verifier(issuers=[trusted], clock=clock).decide(text, evidence=evidence(proof_of(text, clock)))
    assert decision.reason == Reason.BINDING_UNSUPPORTED


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Binding(dpop=DpopProofs()),
        lambda: Binding(claims=OnceEach(ManualClock())),
        lambda: Binding(one_of_required=frozenset({"jkt"})),
        lambda: Binding(one_of_required=frozenset({"jwk"})),
        lambda: DpopProofs(algorithms=frozenset()),
        lambda: DpopProofs(algorithms=frozenset({"HS256"})),
        lambda: DpopProofs(algorithms=frozenset({"none"})),
        lambda: DpopProofs(maximum_age_s=0),
        lambda: DpopProofs(maximum_age_s=float("nan")),
        lambda: DpopProofs(maximum_age_s=float("inf")),
        lambda: DpopProofs(maximum_ahead_s=121),
        lambda: DpopProofs(leeway_s=-1),
    ],
)
def test_rules_that_cannot_be_safe_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        wrong()
    assert caught.value.reason == Reason.SETTINGS_INVALID
