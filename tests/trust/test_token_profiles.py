"""Kinds of tokens: a good one of each, and for each rule a token that breaks it alone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.jose import base64url, strict_json
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.token_profiles import (
    AT_JWT,
    GITHUB_ACTIONS,
    JWT,
    KUBERNETES,
    PROFILE_NAMES,
    PROFILES,
    SECEVENT,
    TokenProfile,
    spiffe,
)

CLOCK = ManualClock()
NOW = int(CLOCK.now())
ISSUER, AUDIENCE = "https://id.example", "orders"
KEYS = {alg: sw.PrivateJWK.generate(alg, key_id=alg) for alg in ("ES256", "RS256", "EdDSA")}
TIMES = {"iat": NOW, "exp": NOW + 300}
WHO = {"iss": ISSUER, "aud": AUDIENCE}
SVID = spiffe("example.org")
ACCOUNT = {"namespace": "shop", "serviceaccount": {"name": "cart", "uid": "u-1"}, "pod": {"name": "p", "uid": "u-2"}}
WORKFLOW = {
    "sub": "repo:octo/app:ref:refs/heads/main", "repository": "octo/app", "repository_owner": "octo",
    "ref": "refs/heads/main", "sha": "abc", "workflow": "ci", "event_name": "push", "actor": "mona", "run_id": "7",
}  # fmt: skip
PINNED = {"claim_values": {"repository": ["octo/app"]}}
# profile, header, claims and further rules of a good token of each kind
GOOD: dict[str, tuple[TokenProfile, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "at+jwt": (
        AT_JWT,
        {"typ": "at+jwt"},
        {**WHO, **TIMES, "sub": "alice", "client_id": "shop", "jti": "1"},
        {},
    ),
    "jwt": (JWT, {}, {**WHO, **TIMES}, {}),
    "secevent": (
        SECEVENT,
        {"typ": "secevent+jwt"},
        {**WHO, "iat": NOW, "jti": "1", "events": {"urn:x": {}}},
        {},
    ),
    "spiffe": (SVID, {"typ": "JWT"}, {**WHO, **TIMES, "sub": "spiffe://example.org/shop/cart"}, {}),
    "kubernetes": (
        KUBERNETES,
        {"alg": "RS256", "kid": "RS256"},
        {**WHO, **TIMES, "jti": "1", "sub": "system:serviceaccount:shop:cart", "kubernetes.io": ACCOUNT},
        {},
    ),
    "github-actions": (
        GITHUB_ACTIONS,
        {"typ": "JWT", "alg": "RS256", "kid": "RS256"},
        {**WHO, **TIMES, "jti": "1", **WORKFLOW},
        PINNED,
    ),
}
DROP = object()


def token(header: dict[str, Any], claims: dict[str, Any]) -> str:
    members = {name: value for name, value in ({"alg": "ES256", "kid": "ES256"} | header).items() if value is not DROP}
    kept = {name: value for name, value in claims.items() if value is not DROP}
    signing_input = b".".join(base64url.encode(strict_json.encode_object(part)) for part in (members, kept))
    return (signing_input + b"." + base64url.encode(KEYS[members["alg"]].sign(signing_input))).decode()


def decide(kind: str, header: dict[str, Any], claims: dict[str, Any]) -> Any:
    profile, usual_header, usual_claims, rules = GOOD[kind]
    keys = sw.JWKSet([key.public for key in KEYS.values()])
    verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, profile=profile, clock=CLOCK, **rules)
    presented = token(usual_header | header, usual_claims | claims)
    decision = verifier.decide(presented)
    told = verifier.decide(presented, explain=True)
    assert (told.outcome, told.reason) == (decision.outcome, decision.reason)
    return decision.reason or decision.outcome


BAD: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    *[("at+jwt", {"typ": typ}, {}, "header.type") for typ in (DROP, "JWT", "secevent+jwt", "jwt", "at+jwt2")],
    *[("at+jwt", {}, {name: DROP}, "claims.missing") for name in ("exp", "sub", "client_id", "iat", "jti")],
    ("at+jwt", {}, {"iss": DROP}, "issuer.missing"),
    ("at+jwt", {}, {"aud": DROP}, "claims.audience"),
    ("at+jwt", {}, {"client_id": 5}, "claims.wrong_type"),
    *[("jwt", {"typ": typ}, {}, "header.type") for typ in ("at+jwt", "secevent+jwt", "dpop+jwt", "JOSE")],
    *[("jwt", {}, {name: "x"}, "claims.forbidden") for name in ("at_hash", "c_hash", "events")],
    ("jwt", {}, {"exp": DROP}, "claims.missing"),
    *[("secevent", {"typ": typ}, {}, "header.type") for typ in (DROP, "JWT", "at+jwt")],
    *[("secevent", {}, {name: DROP}, "claims.missing") for name in ("iat", "jti", "events")],
    *[("secevent", {}, {name: value}, "claims.forbidden") for name, value in (("exp", NOW + 9), ("sub", "alice"))],
    *[("secevent", {}, {"events": value}, "claims.malformed") for value in ({}, [], "x", {"urn:x": 1}, None)],
    *[("spiffe", {"typ": typ}, {}, "header.type") for typ in ("at+jwt", "wit+jwt")],
    *[
        ("spiffe", {name: value}, {}, "header.forbidden")
        for name, value in (("cty", "x"), ("jku", "https://x"), ("x5t", "x"), ("zip", "x"))
    ],
    ("spiffe", {"alg": "EdDSA", "kid": "EdDSA"}, {}, "algorithm.not_allowed"),
    *[("spiffe", {}, {name: DROP}, "claims.missing") for name in ("sub", "exp")],
    *[
        ("spiffe", {}, {"sub": sub}, "claims.value")
        for sub in (
            "alice",
            "spiffe://other.org/shop",
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe://example.org/a/",
            "spiffe://example.org/../a",
            "spiffe://example.org/a//b",
            "spiffe://example.org.evil/a",
            "spiffe://example.org/ä",
            "SPIFFE://example.org/a",
            "spiffe://Example.org/a",
            "spiffe://example.org/a?b",
            "spiffe://example.org/" + "a" * 2048,
        )
    ],
    ("kubernetes", {"alg": "EdDSA", "kid": "EdDSA"}, {}, "algorithm.not_allowed"),
    ("kubernetes", {"typ": "at+jwt"}, {}, "header.type"),
    *[("kubernetes", {}, {name: DROP}, "claims.missing") for name in ("exp", "iat", "sub", "jti", "kubernetes.io")],
    *[
        ("kubernetes", {}, {"kubernetes.io": value}, "claims.malformed")
        for value in (
            None,
            [],
            "x",
            {},
            {"namespace": "shop"},
            ACCOUNT | {"namespace": ""},
            ACCOUNT | {"namespace": "other"},
            ACCOUNT | {"serviceaccount": {"name": "cart"}},
            ACCOUNT | {"serviceaccount": {"name": "x", "uid": "u"}},
            ACCOUNT | {"pod": "p"},
            ACCOUNT | {"node": {"name": "n"}},
        )
    ],
    ("kubernetes", {}, {"sub": "system:serviceaccount:shop:admin"}, "claims.malformed"),
    *[("github-actions", {}, {name: DROP}, "claims.missing") for name in (*WORKFLOW, "jti", "iat", "exp")],
    *[("github-actions", {}, {name: 5}, "claims.wrong_type") for name in WORKFLOW],
    ("github-actions", {}, {"repository": "evil/app"}, "claims.malformed"),
    ("github-actions", {}, {"repository": "evil/app", "repository_owner": "evil"}, "claims.value"),
    ("github-actions", {}, {"repository": "octo/other"}, "claims.value"),
    ("github-actions", {}, {"exp": NOW + 3601}, "claims.lifetime"),
    ("github-actions", {"alg": "EdDSA", "kid": "EdDSA"}, {}, "algorithm.not_allowed"),
]


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_token_of_each_kind_is_accepted(kind: str) -> None:
    assert decide(kind, {}, {}) == "accepted"


@pytest.mark.parametrize(("kind", "header", "claims", "reason"), BAD)
def test_a_token_that_breaks_one_rule_is_rejected_for_it(
    kind: str, header: dict[str, Any], claims: dict[str, Any], reason: str
) -> None:
    assert decide(kind, header, claims) == reason


ALSO_GOOD = [
    ("at+jwt", {"typ": "application/at+jwt"}, {}),
    ("at+jwt", {"typ": "AT+JWT"}, {}),
    ("at+jwt", {"alg": "EdDSA", "kid": "EdDSA"}, {}),
    ("jwt", {"typ": "JWT"}, {"nonce": "n"}),
    ("jwt", {"typ": "application/jwt"}, {}),
    ("spiffe", {"typ": DROP}, {}),
    ("spiffe", {"typ": "JOSE"}, {"aud": [AUDIENCE, "bills"]}),
    ("kubernetes", {"alg": "ES256", "kid": "ES256"}, {"kubernetes.io": ACCOUNT | {"node": {"name": "n", "uid": "u"}}}),
]


@pytest.mark.parametrize(("kind", "header", "claims"), ALSO_GOOD)
def test_what_a_kind_leaves_open_is_accepted(kind: str, header: dict[str, Any], claims: dict[str, Any]) -> None:
    assert decide(kind, header, claims) == "accepted"


PLAIN_KINDS = ("spiffe", "kubernetes", "github-actions")  # plain JWTs of issuers of their own
OTHERS = [(a, b) for a, b in itertools.permutations(GOOD, 2) if b != "jwt" or a not in PLAIN_KINDS]


@pytest.mark.parametrize(("made_as", "read_as"), OTHERS)
def test_no_token_of_one_kind_passes_as_another(made_as: str, read_as: str) -> None:
    _, header, claims, _ = GOOD[made_as]
    keys = sw.JWKSet([key.public for key in KEYS.values()])
    profile, *_, rules = GOOD[read_as]
    verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, profile=profile, clock=CLOCK, **rules)
    assert verifier.decide(token(header, claims)).outcome == "rejected"


NAMES = st.frozensets(st.sampled_from(["sub", "jti", "events", "exp", "scope", "repository"]), max_size=3)
TIGHTER = st.fixed_dictionaries(
    {
        "algorithms": st.frozensets(st.sampled_from(["ES256", "RS256", "EdDSA", "HS256"]), min_size=1),
        "required_claims": NAMES,
        "forbidden_claims": NAMES,
        "maximum_lifetime_s": st.none() | st.floats(1, 1e6),
        "require_expiry": st.booleans(),
    }
)


@given(st.sampled_from([*PROFILES.values(), SVID]), TIGHTER)
def test_whatever_a_policy_says_it_never_loosens_its_profile(profile: TokenProfile, asked: dict[str, Any]) -> None:
    try:
        policy = VerificationPolicy(issuer="i", audience="a", profile=profile, **asked, **PINNED)
    except sw.ConfigurationError:
        assert not asked["algorithms"] & profile.algorithms
        return
    rules = policy.rules
    assert policy.algorithms == asked["algorithms"] & profile.algorithms
    assert rules.required == asked["required_claims"] | profile.required
    assert rules.forbidden == asked["forbidden_claims"] | profile.forbidden
    assert rules.require_expiry == (asked["require_expiry"] and profile.require_expiry)
    limits = [s for s in (asked["maximum_lifetime_s"], profile.maximum_lifetime_s) if s is not None]
    assert rules.maximum_lifetime_s == (min(limits) if limits else None)
    assert set(profile.further) <= set(rules.further)


@pytest.mark.parametrize(
    "rules",
    [
        {"profile": AT_JWT, "typ": "JWT"},
        {"profile": GITHUB_ACTIONS},
        {"profile": GITHUB_ACTIONS, "claim_values": {"ref": ["refs/heads/main"]}},
        {"profile": KUBERNETES, "algorithms": frozenset({"EdDSA"})},
        {"claim_values": {"repository": []}},
        {"claim_values": {"repository": "octo/app"}},
        {"claim_values": {"a//b": ["x"]}},
    ],
    ids=" ".join,  # a set is written in another order by each process
)
def test_a_policy_that_contradicts_its_profile_is_no_policy(rules: dict[str, Any]) -> None:
    with pytest.raises(sw.ConfigurationError):
        VerificationPolicy(issuer=ISSUER, audience=AUDIENCE, **rules)


@pytest.mark.parametrize("name", ["", "Example.org", "a/b", "a b", "spiffe://a", "ä.org", "a" * 256])
def test_what_is_no_trust_domain_is_refused(name: str) -> None:
    with pytest.raises(sw.ConfigurationError):
        spiffe(name)


def test_the_names_of_profiles_are_those_that_are_documented() -> None:
    assert {*GOOD, "any"} == PROFILE_NAMES


def svid_verifier() -> sw.Verifier:
    """Two trust domains and an ordinary issuer, each with a key of its own."""
    issuers = [
        sw.TrustedIssuer(
            VerificationPolicy(issuer=f"spiffe://{domain}", audience=AUDIENCE, profile=spiffe(domain)),
            StaticKeys(KEYS[alg].public),
        )
        for domain, alg in (("example.org", "ES256"), ("example.org.evil", "RS256"))
    ]
    other = VerificationPolicy(issuer=ISSUER, audience=AUDIENCE)
    return sw.Verifier(issuers=[*issuers, sw.TrustedIssuer(other, StaticKeys(KEYS["EdDSA"].public))], clock=CLOCK)


def test_a_svid_without_iss_is_of_the_trust_domain_that_its_subject_lies_in() -> None:
    verifier = svid_verifier()
    claims = {"aud": AUDIENCE, **TIMES, "sub": "spiffe://example.org/cart"}
    assert verifier.verify(token({}, claims)).issuer == "spiffe://example.org"
    named = verifier.verify(token({}, {**claims, "iss": "spiffe://example.org"}))
    assert named.issuer == "spiffe://example.org"
    stranger = {**claims, "sub": "spiffe://unknown.org/cart"}
    assert verifier.decide(token({}, stranger)).reason == "issuer.missing"
    for sub in (None, 5, ["spiffe://example.org/cart"], {"a": 1}):
        assert verifier.decide(token({}, {**claims, "sub": sub})).reason == "issuer.missing"


def test_no_trust_domain_can_speak_for_another_or_for_an_issuer() -> None:
    verifier = svid_verifier()
    claims = {"aud": AUDIENCE, **TIMES, "sub": "spiffe://example.org/cart"}
    by_other = {"alg": "RS256", "kid": "RS256"}
    assert verifier.decide(token(by_other, claims)).outcome == "rejected"
    longer = {**claims, "sub": "spiffe://example.org.evil/cart"}
    assert verifier.verify(token(by_other, longer)).issuer == "spiffe://example.org.evil"
    evil = {**claims, "iss": "spiffe://example.org.evil"}
    assert verifier.decide(token(by_other, evil)).reason == "claims.value"
    assert verifier.decide(token({}, {**claims, "iss": ISSUER})).outcome == "rejected"
    assert verifier.decide(token({}, {**claims, "iss": "https://other.example"})).reason == "issuer.unknown"
