"""Wycheproof, JSON Web files: every verdict is ours, or its difference is named here with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sealwright as sw
from sealwright.jose import compact
from sealwright.jose.verification import check_signature
from sealwright.trust.sources.shared_secret import SharedSecret

Load = Callable[[str], Any]

# tcId of json_web_signature_test.json -> (our verdict, why the label is not followed)
LABELS_NOT_FOLLOWED = {
    346: ("invalid", 'the key says "alg" PS256 and the token PS384: a key has one algorithm (RFC 8725bis)'),
    347: ("invalid", 'the key says "alg" ES521, which is no registered algorithm'),
    350: ("invalid", "as 346"),
    351: ("invalid", "as 347"),
    367: ("valid", "byte-identical to 357, which is labelled valid"),
    370: ("valid", "byte-identical to 357, which is labelled valid"),
    372: ("invalid", '"?" inside of the base64url header'),
    373: ("invalid", '"?" inside of the base64url payload'),
}
PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}
FOR_KEYS_WITHOUT_ALG = ["RS256", "ES256", "ES384", "ES512"]
JWS_OF_JSON_WEB_CRYPTO = 49  # the other 34 of its 83 are encrypted tokens


def test_each_label_that_is_not_followed_is_a_known_issue_of_the_file(vectors: Load) -> None:
    expected = vectors("wycheproof/known_label_issues.json")["expected_for_strict_library"]
    ours = {
        str(number): "accept" if verdict == "valid" else "reject"
        for number, (verdict, _) in LABELS_NOT_FOLLOWED.items()
    }
    assert ours == expected


def verdict(token: str, members: dict[str, Any]) -> str:
    try:
        sw.verify_signature(token, key_for(token, members))
    except sw.RejectedError:
        return "invalid"
    return "valid"


def key_for(token: str, members: dict[str, Any]) -> sw.PublicJWK | sw.SecretJWK:
    """The key with the token's algorithm where its JWK names none, as an issuer's policy would bind it."""
    named = compact.parse(token).header.algorithm
    if members["kty"] == "oct":
        return sw.SecretJWK.from_dict({"alg": named, **members})
    key = sw.PublicJWK.from_dict(members)
    return key if key.algorithm else key.with_algorithm(named)


def test_json_web_signature(vectors: Load) -> None:
    differing: dict[int, tuple[str, str]] = {}
    count = 0
    for group in vectors("wycheproof/json_web_signature_test.json")["testGroups"]:
        members = group.get("public") or group["private"]
        for case in group["tests"]:
            count += 1
            ours = verdict(case["jws"], members)
            if ours != case["result"]:
                differing[case["tcId"]] = (ours, case["comment"])
    assert count == 401
    assert {number: ours for number, (ours, _) in differing.items()} == {
        number: ours for number, (ours, _) in LABELS_NOT_FOLLOWED.items()
    }, differing


def test_json_web_crypto(vectors: Load) -> None:
    """Older copies of the cases above: every label is followed."""
    seen, differing = 0, {}
    for group in vectors("wycheproof/json_web_crypto_test.json")["testGroups"]:
        for case in group["tests"]:
            if "jws" in case:
                seen += 1
                if of_set(case["jws"], group) != case["result"]:
                    differing[case["tcId"]] = case["comment"]
    assert seen == JWS_OF_JSON_WEB_CRYPTO
    assert not differing


def test_json_web_key(vectors: Load) -> None:
    """Every label is followed, also those of the sets that the file calls ambiguous."""
    seen, differing = 0, {}
    for group in vectors("wycheproof/json_web_key_test.json")["testGroups"]:
        for case in group["tests"]:
            seen += 1
            if of_set(case["jws"], group) != case["result"]:
                differing[case["tcId"]] = case["comment"]
    assert seen == 26
    assert not differing


def of_set(token: Any, group: dict[str, Any]) -> str:
    """Our verdict with the keys of a group: secrets as shared secrets, all others as a set of public keys."""
    given = group.get("public") or group["private"]
    listed = given.get("keys", [given])
    text = token if isinstance(token, str) else json.dumps(token)
    try:
        if all(members["kty"] == "oct" for members in listed):
            unverified = compact.parse(text)
            secrets = SharedSecret(*(sw.SecretJWK.from_dict(members) for members in listed))
            check_signature(unverified, secrets.find(unverified.header.key_id))
        else:
            public = [{name: members[name] for name in members if name not in PRIVATE} for members in listed]
            sw.verify_signature(text, sw.JWKSet.from_dict({"keys": public}).bound_to(FOR_KEYS_WITHOUT_ALG))
    except (sw.RejectedError, sw.ConfigurationError):
        return "invalid"
    return "valid"
