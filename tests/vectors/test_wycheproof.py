"""Wycheproof: every verdict is ours, or its difference is named here with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sealwright as sw
from sealwright.jose import base64url, compact
from sealwright.jose.algorithms import ALGORITHMS, algorithm

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
# tcId of json_web_key_test.json -> why
SETS_NOT_FOLLOWED = {
    4: "a duplicate kid of which this token needs another key",
}


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


def test_json_web_crypto_signatures(vectors: Load) -> None:
    """Older copies of the cases above: the same labels are not followed, by their comments."""
    followed_elsewhere = {"Figure20", "Figure27"}
    differing, count = {}, 0
    for group in vectors("wycheproof/json_web_crypto_test.json")["testGroups"]:
        members = group.get("public") or group.get("private") or {}
        for case in group["tests"]:
            if not isinstance(case.get("jws"), str) or "kty" not in members:
                continue
            count += 1
            if verdict(case["jws"], members) != case["result"] and case["comment"] not in followed_elsewhere:
                differing[case["tcId"]] = case["comment"]
    assert count > 0
    assert not differing


def test_json_web_key(vectors: Load) -> None:
    allowed = ["RS256", "PS256", "ES256", "ES384", "ES512"]
    differing = {}
    for group in vectors("wycheproof/json_web_key_test.json")["testGroups"]:
        given = group.get("public") or group["private"]
        listed = given.get("keys", [given])
        for case in group["tests"]:
            try:
                if all(item["kty"] == "oct" for item in listed):
                    sw.verify_signature(case["jws"], sw.SecretJWK.from_dict(listed[0]))
                else:
                    sw.verify_signature(case["jws"], sw.JWKSet.from_dict({"keys": listed}).bound_to(allowed))
                ours = "valid"
            except sw.RejectedError:
                ours = "invalid"
            if ours != case["result"]:
                differing[case["tcId"]] = case["comment"]
    assert differing.keys() == SETS_NOT_FOLLOWED.keys(), differing


P1363 = {
    "ecdsa_secp256r1_sha256_p1363_test.json": "ES256",
    "ecdsa_secp384r1_sha384_p1363_test.json": "ES384",
    "ecdsa_secp521r1_sha512_p1363_test.json": "ES512",
    "ecdsa_secp256k1_sha256_p1363_test.json": "ES256K",
}


@pytest.mark.parametrize(("name", "alg"), P1363.items())
def test_ecdsa_signatures(vectors: Load, name: str, alg: str) -> None:
    row, mismatches, count = algorithm(alg), [], 0
    for group in vectors(f"wycheproof/{name}")["testGroups"]:
        key = sw.PublicJWK.from_dict({**ec_members(group["publicKey"], row.curves[0]), "alg": alg})
        for case in group["tests"]:
            count += 1
            ours = key.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
            if ours != (case["result"] == "valid"):
                mismatches.append((case["tcId"], case["comment"]))
    assert count > 200
    assert not mismatches


def ec_members(key: dict[str, Any], curve: str) -> dict[str, Any]:
    size = {"P-256": 32, "P-384": 48, "P-521": 66, "secp256k1": 32}[curve]
    x, y = (base64url.encode_text(int(key[name], 16).to_bytes(size, "big")) for name in ("wx", "wy"))
    return {"kty": "EC", "crv": curve, "x": x, "y": y}


@pytest.mark.parametrize("curve", ["Ed25519", "Ed448"])
def test_edwards_signatures(vectors: Load, curve: str) -> None:
    mismatches = []
    for group in vectors(f"wycheproof/{curve.lower()}_test.json")["testGroups"]:
        members = {"kty": "OKP", "crv": curve, "x": base64url.encode_text(bytes.fromhex(group["publicKey"]["pk"]))}
        key = sw.PublicJWK.from_dict(members)
        for case in group["tests"]:
            ours = key.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
            if ours != (case["result"] == "valid"):
                mismatches.append((case["tcId"], case["comment"]))
    assert not mismatches


@pytest.mark.parametrize("alg", [name for name in ALGORITHMS if name.startswith("ML-DSA")])
def test_mldsa_signatures(vectors: Load, alg: str) -> None:
    """JOSE uses the empty context only (RFC 9964 §3): a vector with another one must not verify."""
    mismatches, count = [], 0
    for group in vectors(f"wycheproof/mldsa_{alg[-2:]}_verify_test.json")["testGroups"]:
        members = {"kty": "AKP", "alg": alg, "pub": base64url.encode_text(bytes.fromhex(group["publicKey"]))}
        for case in group["tests"]:
            count += 1
            expected = case["result"] == "valid" and not case.get("ctx")
            try:
                key = sw.PublicJWK.from_dict(members)
                ours = key.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
            except sw.RejectedError:
                ours = False
            if ours != expected:
                mismatches.append((case["tcId"], case["comment"]))
    assert count > 100
    assert not mismatches
