import asyncio
import threading

import pytest
from hand_made import forged, parts

from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.sources.snapshot import SnapshotKeys
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.verifier import Verifier


class Revoked:
    def __init__(self, *revoked, tokens=()):
        self.revoked = set(revoked)
        self.tokens = set(tokens)

    def key_revoked(self, issuer, key_id):
        return (issuer, key_id) in self.revoked

    def token_revoked(self, issuer, token_id):
        return (issuer, token_id) in self.tokens


class Stale:
    def key_revoked(self, issuer, key_id):
        raise UnavailableError(Reason.REVOCATION_STALE, "the feed is too old")


@pytest.mark.parametrize("alg", ["RS256", "PS384", "ES256", "ES512", "Ed25519", "Ed448", "ML-DSA-44"])
def test_every_asymmetric_kind_of_key_is_verified_by_default(verifier_of, token_of, alg):
    key = PrivateJWK.generate(alg)
    assert verifier_of(JWKSet([key.public])).verify(token_of(key)).algorithm == alg


def test_a_revoked_key_is_refused_before_it_is_looked_for(token_of, clock, events, k1, k2):
    def read():
        raise AssertionError("the key was looked for")

    policy = VerificationPolicy(issuer="https://id.example", audience="orders")
    revocation = Revoked(("https://id.example", "k1"))
    verifier = Verifier(
        issuers=[TrustedIssuer(policy, SnapshotKeys(read))], clock=clock, revocation=revocation, observer=events
    )
    assert verifier.decide(token_of(k1)).reason == Reason.KEY_REVOKED
    assert events.next().key_id is None


def test_a_revoked_key_is_refused_when_the_token_does_not_name_it(verifier_of, claims, k1):
    header = {"alg": "ES256"}
    token = forged(header, claims, k1.sign(parts(header, claims)))
    assert verifier_of(k1.public).decide(token).accepted
    revocation = Revoked(("https://id.example", "k1"))
    assert verifier_of(k1.public, revocation=revocation).decide(token).reason == Reason.KEY_REVOKED


def test_a_key_revoked_for_another_issuer_stays_good(verifier_of, token_of, k1):
    verifier = verifier_of(k1.public, revocation=Revoked(("https://other.example", "k1"), ("https://id.example", "k2")))
    assert verifier.decide(token_of(k1)).accepted


def test_a_revocation_list_that_is_too_old_leaves_the_token_undecided(verifier_of, token_of, k1):
    decision = verifier_of(k1.public, revocation=Stale()).decide(token_of(k1))
    assert (decision.outcome, decision.reason) == ("undecided", Reason.REVOCATION_STALE)


def test_a_source_that_is_down_leaves_the_token_undecided(verifier_of, remote, server, token_of, k1):
    server.mode = "error"
    verifier = verifier_of(remote())
    for decision in (verifier.decide(token_of(k1)), asyncio.run(verifier.adecide(token_of(k1)))):
        assert (decision.outcome, decision.reason, decision.accepted) == (
            "undecided",
            Reason.SOURCE_UNAVAILABLE,
            False,
        )
    with pytest.raises(UnavailableError):
        verifier.verify(token_of(k1))


def test_a_token_is_verified_with_keys_from_a_url_sync_and_async(verifier_of, remote, server, token_of, k1, k2):  # noqa: PLR0917
    server.publish(k1, k2)
    verifier = verifier_of(remote())
    assert verifier.verify(token_of(k1)).key_id == "k1"
    assert asyncio.run(verifier.averify(token_of(k2))).key_id == "k2"
    assert server.fetches == 1


def test_an_unknown_issuer_costs_no_fetch(verifier_of, remote, server, token_of, k1):
    verifier = verifier_of(remote())
    assert verifier.decide(token_of(k1, iss="https://evil.example")).reason == Reason.ISSUER_UNKNOWN
    assert server.fetches == 0


@pytest.mark.parametrize(
    "fault", [ZeroDivisionError("bug"), KeyError("bug"), ConfigurationError(Reason.SETTINGS_INVALID, "x")]
)
def test_a_fault_in_a_source_fails_closed(verifier_of, token_of, k1, fault):
    def read():
        raise fault

    verifier = verifier_of(SnapshotKeys(read))
    for decision in (verifier.decide(token_of(k1)), asyncio.run(verifier.adecide(token_of(k1)))):
        assert decision.outcome == "undecided"
        assert decision.error.__cause__ is fault
    with pytest.raises(UnavailableError):
        verifier.verify(token_of(k1))


@pytest.mark.parametrize("answer", [None, "key", 7])
def test_a_source_that_answers_nonsense_fails_closed(verifier_of, token_of, events, k1, answer):
    class Nonsense(StaticKeys):
        def find(self, key_id):
            return answer

    assert verifier_of(Nonsense(k1.public), observer=events).decide(token_of(k1)).outcome == "undecided"
    assert events.next().outcome == "undecided"


def test_an_accepted_token_makes_one_event(verifier_of, token_of, events, clock, k1):
    verifier_of(k1.public, observer=events).verify(token_of(k1))
    (event,) = events.seen
    assert (event.issuer, event.algorithm, event.key_id) == ("https://id.example", "ES256", "k1")
    assert (event.outcome, event.reason, event.duration_s) == ("accepted", None, 0.0)


def test_the_event_of_a_rejected_token_says_only_what_was_established(verifier_of, token_of, events, k1, k2):
    verifier = verifier_of(k1.public, observer=events)
    known, unknown = "https://id.example", "unknown"
    for token, expected in [
        ("garbage", (unknown, unknown, None, Reason.TOKEN_MALFORMED)),
        (token_of(k1, iss="https://evil.example"), (unknown, unknown, None, Reason.ISSUER_UNKNOWN)),
        (token_of(k2), (known, unknown, None, Reason.KEY_NOT_FOUND)),
        (token_of(k1, exp=1), (known, "ES256", "k1", Reason.CLAIMS_EXPIRED)),
    ]:
        verifier.decide(token)
        event = events.next()
        assert (event.issuer, event.algorithm, event.key_id, event.reason) == expected
        assert event.outcome == "rejected"
    assert len(events.seen) == 4


def test_an_async_decision_makes_the_same_event(verifier_of, token_of, events, k1):
    verifier = verifier_of(k1.public, observer=events)
    verifier.decide(token_of(k1))
    asyncio.run(verifier.adecide(token_of(k1)))
    assert events.seen[0] == events.seen[1]


def test_a_broken_observer_does_not_change_a_decision(verifier_of, token_of, k1):
    class Broken:
        def observe(self, event):
            raise RuntimeError("boom")

    assert verifier_of(k1.public, observer=Broken()).decide(token_of(k1)).accepted


def test_what_strangers_read_repeats_nothing_of_their_token(verifier_of, claims, k1):
    verifier = verifier_of(k1.public, typ="at+jwt", required_scopes={"read"})
    marked = {**claims, "iss": "https://id.example", "aud": "MARK", "sub": "MARK", "scope": "MARK"}
    for header in ({"alg": "ES256", "kid": "MARK", "typ": "at+jwt"}, {"alg": "MARK"}, {"alg": "ES256", "typ": "MARK"}):
        for payload in (marked, {**marked, "iss": "MARK"}, {**marked, "exp": "MARK"}, {**marked, "aud": {"MARK": 1}}):
            token = forged(header, payload, k1.sign(parts(header, payload)))
            error = verifier.decide(token).error
            assert "MARK" not in error.message
            assert "MARK" not in str(error)


def test_closing_a_verifier_closes_its_sources(verifier_of, remote, server, token_of, k1):
    before = set(threading.enumerate())
    server.publish(k1)
    with verifier_of(remote()) as verifier:
        assert verifier.decide(token_of(k1)).accepted
    assert "sealwright-jwks" not in [one.name for one in set(threading.enumerate()) - before]
