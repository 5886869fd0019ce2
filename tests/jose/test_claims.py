"""ClaimRules: RFC 7519 claims, with wrong types refused and leeway that only ever widens."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.jose.claims import ClaimRules

NOW = 1_700_000_000.0
GOOD = {"iss": "https://id.example", "aud": "api", "sub": "alice", "iat": NOW - 10, "exp": NOW + 100}


def rules(**changed: Any) -> ClaimRules:
    return ClaimRules(**{"issuer": "https://id.example", "audiences": frozenset({"api"}), "leeway_s": 10.0, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"aud": ["other", "api"]},
        {"exp": NOW + 0.5},
        {"exp": NOW - 5},
        {"nbf": NOW + 5},
        {"iat": NOW + 5},
        {"nbf": NOW},
    ],
)
def test_good_claims_are_accepted(changed: dict[str, Any]) -> None:
    rules().check({**GOOD, **changed}, NOW)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": None}, "claims.wrong_type"),
        ({"exp": "9999999999"}, "claims.wrong_type"),
        ({"exp": True}, "claims.wrong_type"),
        ({"exp": [NOW]}, "claims.wrong_type"),
        ({"exp": NOW - 10}, "claims.expired"),
        ({"exp": -5}, "claims.expired"),
        ({"exp": 0}, "claims.expired"),
        ({"nbf": NOW + 11}, "claims.not_yet_valid"),
        ({"nbf": "soon"}, "claims.wrong_type"),
        ({"iat": NOW + 11}, "claims.issued_in_future"),
        ({"iat": False}, "claims.wrong_type"),
        ({"iss": "https://id.example/"}, "claims.issuer"),
        ({"iss": ["https://id.example"]}, "claims.wrong_type"),
        ({"iss": "https://id"}, "claims.issuer"),
        ({"aud": "ap"}, "claims.audience"),
        ({"aud": "apis"}, "claims.audience"),
        ({"aud": []}, "claims.audience"),
        ({"aud": [["api"]]}, "claims.wrong_type"),
        ({"aud": {"api": 1}}, "claims.wrong_type"),
        ({"aud": None}, "claims.wrong_type"),
        ({"sub": 5}, "claims.wrong_type"),
        ({"jti": 5}, "claims.wrong_type"),
        ({"scope": ["a"]}, "claims.wrong_type"),
    ],
)
def test_bad_claims_are_refused(changed: dict[str, Any], reason: str, refused: Any) -> None:
    refused(reason, rules().check, {**GOOD, **changed}, NOW)


@pytest.mark.parametrize(
    ("missing", "reason"), [("exp", "claims.missing"), ("iss", "claims.issuer"), ("aud", "claims.audience")]
)
def test_missing_claims_are_refused(missing: str, reason: str, refused: Any) -> None:
    refused(reason, rules().check, {name: value for name, value in GOOD.items() if name != missing}, NOW)


def test_leeway_ends_where_it_says(refused: Any) -> None:
    rules(leeway_s=0.0).check({**GOOD, "exp": NOW + 0.001}, NOW)
    refused("claims.expired", rules(leeway_s=0.0).check, {**GOOD, "exp": NOW}, NOW)


def test_age_and_lifetime_have_limits(refused: Any) -> None:
    rules(maximum_age_s=60.0, maximum_lifetime_s=110.0).check(GOOD, NOW)
    refused("claims.too_old", rules(maximum_age_s=60.0).check, {**GOOD, "iat": NOW - 71}, NOW)
    refused("claims.lifetime", rules(maximum_lifetime_s=109.0).check, GOOD, NOW)
    without = {name: value for name, value in GOOD.items() if name != "iat"}
    refused("claims.missing", rules(maximum_age_s=60.0).check, without, NOW)
    endless = {name: value for name, value in GOOD.items() if name != "exp"}
    refused("claims.lifetime", rules(maximum_lifetime_s=1.0, require_expiry=False).check, endless, NOW)


def test_required_claims_and_scopes(refused: Any) -> None:
    refused("claims.missing", rules(required=frozenset({"jti"})).check, GOOD, NOW)
    needs = rules(scopes=frozenset({"read", "write"}))
    needs.check({**GOOD, "scope": "write admin read"}, NOW)
    refused("claims.scope", needs.check, {**GOOD, "scope": "read"}, NOW)
    refused("claims.scope", needs.check, {**GOOD, "scope": "readwrite"}, NOW)
    refused("claims.scope", needs.check, GOOD, NOW)


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.text(max_size=3))


@given(st.dictionaries(st.sampled_from([*GOOD, "nbf", "jti", "scope", "client_id"]), values))
def test_property_any_claims_are_accepted_or_refused(claims: dict[str, Any]) -> None:
    with contextlib.suppress(sw.RejectedError):
        rules(maximum_age_s=60.0, maximum_lifetime_s=60.0).check(claims, NOW)


@given(st.dictionaries(st.sampled_from(["aud", "nbf", "iat", "scope"]), values), st.floats(max_value=NOW - 11))
def test_property_an_expired_token_is_never_accepted(claims: dict[str, Any], expiry: float) -> None:
    with pytest.raises(sw.RejectedError):
        rules().check({**GOOD, **claims, "exp": expiry}, NOW)
