"""Claims tokens: what the caller says and what the profile adds never contradict each other."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.clock import ManualClock
from sealwright.errors import Reason, RejectedError
from sealwright.jose.claims import ClaimRules
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.verification import verify_signature
from sealwright.profiles.claims_token import LATEST_TIME, claims_payload, sign_claims

KEY = PrivateJWK.generate("Ed25519")
ISSUER = "https://id.example"
NOW = 1_700_000_000.75


def payload(claims: Any, **changed: Any) -> dict[str, Any]:
    usual = {"issuer": ISSUER, "audience": "orders", "lifetime_s": 900, "now": NOW, "token_id": "t1"}
    written: dict[str, Any] = json.loads(claims_payload(claims, **(usual | changed)))
    return written


def refused(claims: Any, **changed: Any) -> Reason:
    with pytest.raises(RejectedError) as caught:
        payload(claims, **changed)
    return caught.value.reason


def test_the_profile_adds_issuer_audience_times_and_id() -> None:
    assert payload({"sub": "alice", "roles": ["a"]}) == {
        "jti": "t1",
        "sub": "alice",
        "roles": ["a"],
        "iss": ISSUER,
        "aud": "orders",
        "iat": 1_700_000_000,
        "exp": 1_700_000_900,
    }


def test_the_same_facts_make_the_same_bytes() -> None:
    facts: dict[str, Any] = {"issuer": ISSUER, "audience": ["a", "b"], "lifetime_s": 60, "now": NOW, "token_id": "t"}
    assert claims_payload({"sub": "a"}, **facts) == claims_payload({"sub": "a"}, **facts)


def test_signed_claims_verify_and_satisfy_their_rules() -> None:
    clock = ManualClock()
    token = sign_claims({"sub": "alice"}, KEY, issuer=ISSUER, audience="orders", lifetime_s=900, clock=clock)
    seen = verify_signature(token, KEY.public)
    assert (seen.header.type, seen.header.key_id) == ("JWT", KEY.key_id)
    rules = ClaimRules(ISSUER, frozenset({"orders"}), leeway_s=0, maximum_lifetime_s=900)
    rules.check(seen.json(), clock.now())
    clock.advance(900)
    with pytest.raises(RejectedError, match="expired"):
        rules.check(seen.json(), clock.now())


def test_another_type_is_written_when_asked_for() -> None:
    token = sign_claims({}, KEY, issuer=ISSUER, audience="orders", lifetime_s=5, typ="receipt+jwt")
    assert verify_signature(token, KEY.public).header.type == "receipt+jwt"


def test_every_token_has_an_id_of_its_own_with_128_bits() -> None:
    tokens = [sign_claims({}, KEY, issuer=ISSUER, audience="orders", lifetime_s=900) for _ in range(50)]
    ids = {verify_signature(token, KEY.public).json()["jti"] for token in tokens}
    assert len(ids) == 50
    assert {len(bytes.fromhex(token_id)) for token_id in ids} == {16}


def test_an_id_of_the_caller_is_kept() -> None:
    assert payload({"jti": "mine"})["jti"] == "mine"


def test_several_audiences_are_written_as_a_list() -> None:
    assert payload({}, audience=("orders", "bills"))["aud"] == ["orders", "bills"]
    assert payload({}, audience=["orders"])["aud"] == ["orders"]


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://else.example"},
        {"aud": "bills"},
        {"aud": ["orders", "bills"]},
        {"iat": 1_700_000_001},
        {"exp": 1_700_000_901},
        {"exp": 1_700_000_900.5},
    ],
)
def test_a_claim_cannot_override_what_the_profile_sets(claims: dict[str, Any]) -> None:
    assert refused(claims) == Reason.CLAIMS_MALFORMED


def test_a_refusal_names_the_claims_and_not_their_values() -> None:
    with pytest.raises(RejectedError) as caught:
        payload({"iss": "https://s3cret.example", "exp": 4711})
    assert "exp, iss" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "4711" not in str(caught.value)


def test_a_claim_that_says_the_same_is_welcome() -> None:
    same = {"iss": ISSUER, "aud": "orders", "iat": 1_700_000_000.0, "exp": 1_700_000_900}
    assert payload(same) == payload({})
    assert isinstance(payload(same)["iat"], int)


@pytest.mark.parametrize(
    "claims",
    [{"sub": 5}, {"nbf": "soon"}, {"exp": True}, {"iat": None}, {"scope": ["read"]}, {"aud": 5}, {"jti": 5}],
)
def test_a_registered_claim_of_the_wrong_type_is_refused(claims: dict[str, Any]) -> None:
    assert refused(claims) == Reason.CLAIMS_WRONG_TYPE


@pytest.mark.parametrize(
    "lifetime_s", [0, -1, 0.999, math.nan, math.inf, -math.inf, True, "60", None, 10**400, LATEST_TIME]
)
def test_a_lifetime_that_is_none_or_has_no_end_is_refused(lifetime_s: Any) -> None:
    assert refused({}, lifetime_s=lifetime_s) == Reason.CLAIMS_LIFETIME


@pytest.mark.parametrize("audience", ["", [], [""], ["orders", ""], ()])
def test_an_audience_is_required(audience: Any) -> None:
    assert refused({}, audience=audience) == Reason.CLAIMS_MALFORMED


@pytest.mark.parametrize("audience", [None, 5, b"orders", ["orders", 5], {"orders"}])
def test_an_audience_is_text_or_texts(audience: Any) -> None:
    assert refused({}, audience=audience) == Reason.CLAIMS_WRONG_TYPE


def test_an_issuer_is_required() -> None:
    assert refused({}, issuer="") == Reason.CLAIMS_MALFORMED
    assert refused({}, issuer=None) == Reason.CLAIMS_WRONG_TYPE


@pytest.mark.parametrize("claims", [[], "text", None])
def test_claims_are_an_object(claims: Any) -> None:
    assert refused(claims) == Reason.CLAIMS_MALFORMED


@pytest.mark.parametrize("claims", [{5: "a"}, {None: "a"}, {"5": "a", 5: "b"}, {"a": {5: "b"}}, {"a": [{5: "b"}]}])
def test_every_name_is_text(claims: Any) -> None:
    assert refused(claims) == Reason.JSON_MALFORMED


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"a": math.nan}, Reason.JSON_MALFORMED),
        ({"a": b"bytes"}, Reason.JSON_MALFORMED),
        ({"a": "\ud800"}, Reason.JSON_MALFORMED),
        (nested(40), Reason.JSON_TOO_DEEP),
        (nested(100_000), Reason.JSON_MALFORMED),
    ],
)
def test_what_a_verifier_would_not_read_is_not_written(claims: dict[str, Any], reason: Reason) -> None:
    assert refused(claims) == reason


@given(st.floats(0, 4e9), st.floats(1, 1e9))
def test_times_are_whole_seconds_and_a_life_is_never_lengthened(now: float, lifetime_s: float) -> None:
    written = payload({}, now=now, lifetime_s=lifetime_s)
    assert isinstance(written["iat"], int)
    assert isinstance(written["exp"], int)
    assert written["iat"] <= now < written["iat"] + 1
    assert lifetime_s - 1 < written["exp"] - written["iat"] <= lifetime_s
    assert written["exp"] <= now + lifetime_s
