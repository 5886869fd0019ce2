"""Wycheproof, signatures: each row of the table of algorithms against the file made for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sealwright as sw
from sealwright.jose import base64url
from sealwright.jose.algorithms import algorithm

Load = Callable[[str], Any]
Case = tuple[dict[str, Any], dict[str, Any]]

ECDSA = {
    "ES256": ("ecdsa_secp256r1_sha256_p1363", 262, 32),
    "ES384": ("ecdsa_secp384r1_sha384_p1363", 280, 48),
    "ES512": ("ecdsa_secp521r1_sha512_p1363", 318, 66),
    "ES256K": ("ecdsa_secp256k1_sha256_p1363", 252, 32),
}
EDWARDS = {"Ed25519": 151, "Ed448": 87}
MLDSA = {"ML-DSA-44": 180, "ML-DSA-65": 210, "ML-DSA-87": 241}


def cases(document: dict[str, Any], count: int | None = None) -> Iterator[Case]:
    """Group and test; a file that holds another number of tests than it says, or than is known, is a failure."""
    found = [(group, case) for group in document["testGroups"] for case in group["tests"]]
    assert len(found) == document["numberOfTests"] > 0
    assert count is None or len(found) == count
    return iter(found)


def differing(found: Iterator[Case], verdict: Callable[[dict[str, Any], dict[str, Any]], bool]) -> list[Any]:
    """The tests on which our verdict is not the label; "acceptable" is either."""
    wrong = []
    for group, case in found:
        if case["result"] != "acceptable" and verdict(group, case) != (case["result"] == "valid"):
            wrong.append((case["tcId"], case["comment"], case["flags"]))
    return wrong


def verifying(members: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, Any], dict[str, Any]], bool]:
    """Our verdict on a signature, with the group's public key read as a JWK."""

    def verdict(group: dict[str, Any], case: dict[str, Any]) -> bool:
        try:
            key = sw.PublicJWK.from_dict(members(group))
        except sw.RejectedError:
            return False
        return key.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))

    return verdict


def number(text: str, size: int | None = None) -> str:
    value = int(text, 16)
    return base64url.encode_text(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def raw(text: str) -> str:
    return base64url.encode_text(bytes.fromhex(text))


@pytest.mark.parametrize("alg", ECDSA)
def test_ecdsa(vectors: Load, alg: str) -> None:
    name, count, size = ECDSA[alg]
    curve = algorithm(alg).curves[0]

    def members(group: dict[str, Any]) -> dict[str, Any]:
        point = {name: number(group["publicKey"][written], size) for name, written in (("x", "wx"), ("y", "wy"))}
        return {"kty": "EC", "crv": curve, "alg": alg, **point}

    assert not differing(cases(vectors(f"wycheproof/{name}_test.json"), count), verifying(members))


@pytest.mark.parametrize("curve", EDWARDS)
def test_edwards_curves(vectors: Load, curve: str) -> None:
    def members(group: dict[str, Any]) -> dict[str, Any]:
        return {"kty": "OKP", "crv": curve, "x": raw(group["publicKey"]["pk"])}

    found = cases(vectors(f"wycheproof/{curve.lower()}_test.json"), EDWARDS[curve])
    assert not differing(found, verifying(members))


@pytest.mark.parametrize("alg", MLDSA)
def test_mldsa(vectors: Load, alg: str) -> None:
    """JOSE uses the empty context only (RFC 9964 §3): a vector with another one must not verify."""
    by_members = verifying(lambda group: {"kty": "AKP", "alg": alg, "pub": raw(group["publicKey"])})
    wrong = []
    for group, case in cases(vectors(f"wycheproof/mldsa_{alg[-2:]}_verify_test.json"), MLDSA[alg]):
        if by_members(group, case) != (case["result"] == "valid" and not case.get("ctx")):
            wrong.append((case["tcId"], case["comment"]))
    assert not wrong
