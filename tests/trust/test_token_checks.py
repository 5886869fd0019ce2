"""What comes after signature and claims: revoked tokens, bound tokens, actors, and the checks that an issuer has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.jose import strict_json
from sealwright.trust.decision import Decision
from sealwright.trust.evidence import Evidence
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.revocation import FeedStatus
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.token_check import Proven, TokenCheck

CLOCK = ManualClock()
ISSUERS = ("https://one.example", "https://two.example")
KEY, OTHER = (sw.PrivateJWK.generate("EdDSA", key_id=name) for name in ("k", "other"))
PLAIN = {"aud": "orders", "exp": int(CLOCK.now()) + 200, "jti": "t-1"}


class Recording:
    """A check that says what it saw, and refuses when it is told to."""

    def __init__(self, name: str, seen: list[Any], error: Exception | None = None) -> None:
        self.name, self.expects, self._seen, self._error = name, "to be asked", seen, error

    def check(self, proven: Proven, _: float) -> None:
        self._seen.append((self.name, proven.evidence.method))
        if self._error is not None:
            raise self._error

    async def acheck(self, proven: Proven, now: float) -> None:
        self.check(proven, now)


class RevokedTokens:
    def key_revoked(self, issuer: str, key_id: str) -> bool:
        return False

    def token_revoked(self, issuer: str, token_id: str) -> bool:
        return (issuer, token_id) == (ISSUERS[0], "t-1")


def verifier(*checks: TokenCheck, **given: Any) -> sw.Verifier:
    source = StaticKeys(KEY.public)
    trusted = [
        TrustedIssuer(VerificationPolicy(issuer=name, audience="orders"), source, checks=checks) for name in ISSUERS
    ]
    return sw.Verifier(issuers=trusted, clock=CLOCK, **given)


def token(issuer: str = ISSUERS[0], **claims: Any) -> str:
    return sw.sign(strict_json.encode_object({"iss": issuer, **PLAIN, **claims}), KEY)


def every_way(one: sw.Verifier, text: str, evidence: Evidence = Evidence()) -> Decision:  # noqa: B008
    ways = [
        one.decide(text, evidence=evidence),
        asyncio.run(one.adecide(text, evidence=evidence)),
        one.decide(text, evidence=evidence, explain=True),
        asyncio.run(one.adecide(text, evidence=evidence, explain=True)),
    ]
    assert len({(way.outcome, way.reason, str(way.verified)) for way in ways}) == 1
    return ways[2]


def test_a_token_that_is_bound_to_a_key_is_never_a_bearer_token() -> None:
    decision = every_way(verifier(), token(cnf={"jkt": "x"}))
    assert (decision.outcome, decision.reason) == ("rejected", Reason.BINDING_MISSING)
    assert (decision.steps or ())[-1].check == "binding"


def test_a_single_revoked_token_is_refused_and_only_for_its_issuer() -> None:
    one = verifier(revocation=RevokedTokens())
    assert every_way(one, token()).reason == Reason.TOKEN_REVOKED
    assert every_way(one, token(ISSUERS[1])).accepted
    assert every_way(one, token(jti="t-2")).accepted


def test_the_checks_of_an_issuer_are_asked_in_order_and_see_the_evidence() -> None:
    seen: list[Any] = []
    one = verifier(Recording("first", seen), Recording("second", seen))
    decision = every_way(one, token(ISSUERS[1]), Evidence(method="GET"))
    assert decision.accepted
    assert seen == [("first", "GET"), ("second", "GET")] * 4
    assert [step.check for step in decision.steps or ()][-3:] == ["revoked token", "first", "second"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RejectedError(Reason.REPLAY_SEEN_BEFORE, "seen"), "rejected"),
        (UnavailableError(Reason.REPLAY_UNAVAILABLE, "gone"), "undecided"),
        (ValueError("a fault"), "undecided"),
    ],
)
def test_a_check_that_fails_ends_it_and_a_fault_never_accepts(error: Exception, outcome: str) -> None:
    seen: list[Any] = []
    one = verifier(Recording("first", seen, error), Recording("second", seen))
    assert every_way(one, token()).outcome == outcome
    assert {name for name, _ in seen} == {"first"}


def test_no_check_is_asked_about_a_bad_token() -> None:
    seen: list[Any] = []
    one = verifier(Recording("first", seen))
    for bad in (token()[:-8] + "AAAAAAAA", token(exp=5), token(aud="bills"), token("https://three.example")):
        assert every_way(one, bad).outcome == "rejected"
    assert not seen


@pytest.mark.parametrize(
    "act",
    [
        5, "alice", [], {"sub": 7}, {"sub": None}, {"iss": ["x"], "sub": "a"}, {"client_id": 1}, None, True,
        {"sub": "a", "act": "b"}, {"sub": "a", "act": None}, {"sub": "a", "act": [{"sub": "b"}]},
    ],
)  # fmt: skip
def test_an_actor_that_is_none_is_refused(act: object) -> None:
    assert every_way(verifier(), token(act=act)).reason == Reason.CLAIMS_ACTOR


def test_actors_are_known_in_order_and_only_so_many_are_allowed() -> None:
    act: dict[str, Any] = {"sub": "d"}
    for name in ("c", "b", "a"):
        act = {"sub": name, "act": act}
    seen = every_way(verifier(), token(act=act)).verified
    assert seen is not None
    assert [actor["sub"] for actor in seen.actors] == ["a", "b", "c", "d"]
    assert every_way(verifier(), token(act={"sub": "z", "act": act})).reason == Reason.CLAIMS_ACTOR


def test_only_the_current_actor_and_the_token_s_own_claims_count() -> None:
    history = {"sub": "old", "scope": "admin", "aud": "bills", "exp": 1, "nbf": 4_000_000_000, "jti": 5}
    act = {"sub": "now", "iss": ISSUERS[1], "scope": "admin", "exp": 1, "act": history}
    seen = every_way(verifier(), token(act=act, scope="read")).verified
    assert seen is not None
    assert seen.actor is not None
    assert (seen.actor["sub"], seen.scopes, seen.issuer) == ("now", {"read"}, ISSUERS[0])
    assert verifier().decide(token(act=act, scope="read"), scopes=frozenset({"admin"})).reason == Reason.CLAIMS_SCOPE
    plain = every_way(verifier(), token()).verified
    assert plain is not None
    assert (plain.actor, plain.actors) == (None, ())


@pytest.mark.parametrize("most", [0, 1, 12])
def test_a_policy_says_how_many_actors_there_may_be_and_all_of_them_are_told(most: int) -> None:
    policy = VerificationPolicy(issuer=ISSUERS[0], audience="orders", maximum_actors=most)
    one = sw.Verifier(issuers=[TrustedIssuer(policy, StaticKeys(KEY.public))], clock=CLOCK)
    claims: dict[str, Any] = {}
    for name in range(most):
        claims = {"act": {"sub": str(name), **claims}}
    seen = every_way(one, token(**claims)).verified
    assert seen is not None
    assert len(seen.actors) == most
    assert every_way(one, token(act={"sub": "z", **claims})).reason == Reason.CLAIMS_ACTOR


class Feeds(RevokedTokens):
    def status(self) -> dict[str, FeedStatus]:
        return {ISSUERS[0]: FeedStatus(sequence=41, age_s=2.0, current=True, revoked=0, last_error=None)}


def test_an_explanation_says_which_key_set_and_which_feed_it_went_by(server: Any, remote: Any, clock: Any) -> None:
    server.publish(KEY)
    source = remote()
    policies = [VerificationPolicy(issuer=name, audience="orders") for name in ISSUERS]
    one = sw.Verifier(issuers=[TrustedIssuer(policy, source) for policy in policies], revocation=Feeds(), clock=clock)
    one.decide(token(jti="t-2"))
    clock.advance(12)
    for key_id, reason in (("k", None), ("other", Reason.KEY_NOT_FOUND)):
        text = token(jti="t-2") if key_id == "k" else sw.sign(b'{"iss":"https://one.example"}', OTHER)
        decision = one.decide(text, explain=True)
        found = {step.check: step.found for step in decision.steps or ()}
        assert found["revocation"] == f"{key_id}, by feed number 41, fetched 2.0 s ago"
        assert found["key"].startswith(f"{key_id}, of key set with 1 keys, fetched at 2023-")
        assert decision.reason == reason


def test_an_explanation_of_keys_that_were_never_had_says_so(server: Any, remote: Any, clock: Any) -> None:
    server.mode = "error"
    one = sw.Verifier(issuer=ISSUERS[0], audience="orders", keys=remote(), clock=clock)
    last = (one.decide(token(), explain=True).steps or ())[-1]
    assert (last.found, last.reason) == ("k, of no key set: it was never fetched", Reason.SOURCE_UNAVAILABLE)
