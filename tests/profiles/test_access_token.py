"""Access tokens of RFC 9068: required claims, clean scopes, a cap on the lifetime."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.signing import sign
from sealwright.jose.verification import verify_signature
from sealwright.profiles.access_token import TYP, access_token_payload

CLAIMS = {"sub": "alice", "client_id": "shop"}
USUAL: dict[str, Any] = {
    "issuer": "https://id.example",
    "audience": "orders",
    "lifetime_s": 900,
    "longest_s": 900,
    "now": 1_700_000_000.5,
}


def payload(claims: dict[str, Any], **changed: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(access_token_payload(claims, **(USUAL | changed)))
    return written


def refused(claims: dict[str, Any], **changed: Any) -> Reason:
    with pytest.raises(RejectedError) as caught:
        payload(claims, **changed)
    return caught.value.reason


def test_an_access_token_has_every_claim_that_the_rfc_requires() -> None:
    written = payload({**CLAIMS, "scope": "read write"}, token_id="t1")
    times = {"iat": 1_700_000_000, "exp": 1_700_000_900}
    parties = {"iss": "https://id.example", "aud": "orders", "sub": "alice", "client_id": "shop"}
    assert written == times | parties | {"jti": "t1", "scope": "read write"}


def test_an_access_token_is_signed_with_its_own_type() -> None:
    key = PrivateJWK.generate("ES256")
    token = sign(access_token_payload(CLAIMS, **USUAL), key, typ=TYP)
    seen = verify_signature(token, key.public)
    assert (seen.header.type, seen.json()["sub"]) == ("at+jwt", "alice")


def test_ids_differ_unless_given() -> None:
    assert payload(CLAIMS)["jti"] != payload(CLAIMS)["jti"]
    assert payload(CLAIMS, token_id="t1") == payload(CLAIMS, token_id="t1")


@pytest.mark.parametrize("missing", ["sub", "client_id"])
def test_subject_and_client_are_required_and_not_empty(missing: str) -> None:
    assert refused({name: value for name, value in CLAIMS.items() if name != missing}) == Reason.CLAIMS_MISSING
    assert refused(CLAIMS | {missing: ""}) == Reason.CLAIMS_MISSING
    assert refused(CLAIMS | {missing: 5}) == Reason.CLAIMS_WRONG_TYPE


def test_an_id_is_required_too() -> None:
    assert refused(CLAIMS | {"jti": ""}) == Reason.CLAIMS_MISSING
    assert refused(CLAIMS, token_id="") == Reason.CLAIMS_MISSING


@pytest.mark.parametrize("scope", ["read", "read write", "orders:read https://id.example/x", "", "!#[]~"])
def test_a_scope_of_the_rfc_is_written_as_given(scope: str) -> None:
    assert payload(CLAIMS | {"scope": scope})["scope"] == scope


@pytest.mark.parametrize("scope", [" read", "read ", "a  b", "a\tb", "a\nb", "a\u2003admin", 'a"b', "a\\b", "é", "a\n"])
def test_a_scope_that_could_be_read_in_two_ways_is_refused(scope: str) -> None:
    assert refused(CLAIMS | {"scope": scope}) == Reason.CLAIMS_MALFORMED


def test_a_lifetime_above_the_cap_is_refused_with_the_cap_in_the_message() -> None:
    for lifetime_s in (900.5, 901, 1e9):
        with pytest.raises(RefusedError, match="900 s at most") as caught:
            payload(CLAIMS, lifetime_s=lifetime_s)
        assert caught.value.reason == Reason.GUARD_LIFETIME
    assert payload(CLAIMS, lifetime_s=900)["exp"] == 1_700_000_900


@pytest.mark.parametrize("lifetime_s", [0, -1, True, "60", float("nan"), 1e300])
def test_a_lifetime_that_is_none_is_refused(lifetime_s: Any) -> None:
    assert refused(CLAIMS, lifetime_s=lifetime_s) == Reason.CLAIMS_LIFETIME


def test_the_rules_of_claims_tokens_hold() -> None:
    assert refused(CLAIMS | {"exp": 99_999_999_999}) == Reason.CLAIMS_MALFORMED
    assert refused(CLAIMS | {"nbf": "soon"}) == Reason.CLAIMS_WRONG_TYPE
    assert refused(CLAIMS, audience="") == Reason.CLAIMS_MALFORMED
