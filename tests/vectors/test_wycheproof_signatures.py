"""Wycheproof, signatures and MACs: each row of the table of algorithms against the file made for it."""

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
PKCS1 = [(size, bits) for size in (2048, 3072, 4096) for bits in (256, 384, 512)]
PSS = [(2048, 256), (3072, 256), (4096, 256), (2048, 384), (4096, 384), (4096, 512)]
MLDSA = {"ML-DSA-44": (180, 86), "ML-DSA-65": (210, 105), "ML-DSA-87": (241, 96)}


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


def rsa_members(alg: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def members(group: dict[str, Any]) -> dict[str, Any]:
        key = group["publicKey"]
        return {"kty": "RSA", "alg": alg, "n": number(key["modulus"]), "e": number(key["publicExponent"])}

    return members


@pytest.mark.parametrize(("size", "bits"), PKCS1)
def test_rsa_pkcs1(vectors: Load, size: int, bits: int) -> None:
    found = cases(vectors(f"wycheproof/rsa_signature_{size}_sha{bits}_test.json"))
    assert not differing(found, verifying(rsa_members(f"RS{bits}")))


@pytest.mark.parametrize(("size", "bits"), PSS)
def test_rsa_pss_with_a_salt_as_long_as_the_hash(vectors: Load, size: int, bits: int) -> None:
    found = cases(vectors(f"wycheproof/rsa_pss_{size}_sha{bits}_mgf1_{bits // 8}_test.json"))
    assert not differing(found, verifying(rsa_members(f"PS{bits}")))


def test_no_rsa_file_is_shorter_than_it_was(vectors: Load) -> None:
    signature = [f"wycheproof/rsa_signature_{size}_sha{bits}_test.json" for size, bits in PKCS1]
    pss = [f"wycheproof/rsa_pss_{size}_sha{bits}_mgf1_{bits // 8}_test.json" for size, bits in PSS]
    assert [sum(len(list(cases(vectors(path)))) for path in paths) for paths in (signature, pss)] == [2330, 785]


@pytest.mark.parametrize("bits", [256, 384, 512])
def test_hmac_with_truncated_tags_refused(vectors: Load, bits: int) -> None:
    """Half of the groups hold truncated tags, whose labels are for whoever truncates: a JWS never does."""
    row, truncated = algorithm(f"HS{bits}"), 0
    wrong = []
    for group, case in cases(vectors(f"wycheproof/hmac_sha{bits}_test.json"), 174):
        verify = row.primitive.verifying(bytes.fromhex(case["key"]))
        ours = verify(bytes.fromhex(case["tag"]), bytes.fromhex(case["msg"]))
        truncated += group["tagSize"] < bits
        if ours != (case["result"] == "valid" and group["tagSize"] == bits):
            wrong.append((case["tcId"], case["comment"]))
    assert truncated == 87
    assert not wrong


@pytest.mark.parametrize("alg", MLDSA)
def test_mldsa(vectors: Load, alg: str) -> None:
    """JOSE uses the empty context only (RFC 9964 §3): a vector with another one must not verify."""
    by_members = verifying(lambda group: {"kty": "AKP", "alg": alg, "pub": raw(group["publicKey"])})
    wrong = []
    for group, case in cases(vectors(f"wycheproof/mldsa_{alg[-2:]}_verify_test.json"), MLDSA[alg][0]):
        if by_members(group, case) != (case["result"] == "valid" and not case.get("ctx")):
            wrong.append((case["tcId"], case["comment"]))
    assert not wrong


@pytest.mark.parametrize("alg", MLDSA)
def test_mldsa_keys_from_seeds(vectors: Load, alg: str) -> None:
    """The seed gives the public key, and the signature of the file is one of this key; a seed has 32 bytes."""
    document = vectors(f"wycheproof/mldsa_{alg[-2:]}_sign_seed_test.json")
    for group, case in cases(document, MLDSA[alg][1]):
        seed, public = group["privateSeed"], group.get("publicKey") or ""
        members = {"kty": "AKP", "alg": alg, "priv": raw(seed), "pub": raw(public)}
        if len(seed) != 64:
            with pytest.raises(sw.RejectedError) as caught:
                sw.PrivateJWK.from_dict(members)
            assert caught.value.reason == "key.malformed"
            continue
        key = sw.PrivateJWK.from_dict(members)
        assert key.public.members["pub"] == raw(public)
        if case["result"] == "valid" and "msg" in case and not case.get("ctx"):
            assert key.public.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])), case["tcId"]
