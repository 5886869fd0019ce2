"""PublicJWK, PrivateJWK, SecretJWK and JWKSet: what is a key, what is not, and what never gets out."""

from __future__ import annotations

import contextlib
import copy
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.jose import base64url
from sealwright.jose.algorithms import ALGORITHMS, ASYMMETRIC, SYMMETRIC

P25519, P448 = 2**255 - 19, 2**448 - 2**224 - 1


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_a_key_exports_and_reads_back_as_itself(alg: str, signers: dict[str, Any]) -> None:
    key = signers[alg]
    if alg in SYMMETRIC:
        again = sw.SecretJWK.from_dict(key.export_secret_dict())
        assert again.verify(key.sign(b"data"), b"data")
    else:
        members = key.export_private_dict()
        again = sw.PrivateJWK.from_dict(members)
        assert again.public == key.public
        assert sw.PublicJWK.from_dict(key.public.to_dict()).verify(again.sign(b"data"), b"data")
        assert not set(members) - set(key.public.members) & set(key.public.to_dict())
    assert (again.key_id, again.algorithm.name) == (key.key_id, alg)


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_private_and_secret_keys_never_show_or_pickle_themselves(alg: str, signers: dict[str, Any]) -> None:
    key = signers[alg]
    exported = key.export_secret_dict() if alg in SYMMETRIC else key.export_private_dict()
    public = {} if alg in SYMMETRIC else key.public.to_dict()
    hidden = [value for name, value in exported.items() if name not in public and name not in ("kty", "alg", "kid")]
    assert hidden
    for text in (repr(key), str(key), f"{key}"):
        assert "redacted" in text
        assert not any(value in text for value in hidden)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(key)


@pytest.mark.parametrize("alg", sorted(ASYMMETRIC))
def test_a_generated_kid_is_the_thumbprint(alg: str, signers: dict[str, Any]) -> None:
    assert signers[alg].key_id == signers[alg].public.thumbprint()
    assert signers[alg].public.members["use"] == "sig"


@pytest.mark.parametrize("alg", sorted(ASYMMETRIC))
def test_private_members_in_a_public_key_are_refused_not_dropped(
    alg: str, signers: dict[str, Any], refused: Any
) -> None:
    refused("key.not_public", sw.PublicJWK.from_dict, signers[alg].export_private_dict())


@pytest.mark.parametrize("name", ["d", "priv", "k", "p", "oth"])
def test_a_member_that_is_private_in_another_kind_of_key_never_becomes_public(
    name: str, signers: dict[str, Any], refused: Any
) -> None:
    for alg in ("ML-DSA-44", "ES256", "Ed25519"):
        whole = signers[alg].export_private_dict()
        public = sw.PrivateJWK.from_dict({name: "AA", **whole}).public.to_dict()
        assert name not in public
        refused("key.not_public", sw.PublicJWK.from_dict, {**public, name: "AA"})


def test_a_secret_is_never_a_public_key(signers: dict[str, Any], refused: Any) -> None:
    refused("key.not_public", sw.PublicJWK.from_dict, signers["HS256"].export_secret_dict())


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA", "ML-DSA-44"])
def test_halves_that_do_not_belong_together_are_refused(alg: str, signers: dict[str, Any], refused: Any) -> None:
    mine, other = signers[alg].export_private_dict(), sw.PrivateJWK.generate(alg).export_private_dict()
    name = {"RS256": "n", "ES256": "x", "EdDSA": "x", "ML-DSA-44": "pub"}[alg]
    refused("key.malformed", sw.PrivateJWK.from_dict, {**mine, name: other[name]})


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "key.unsupported"),
        ({"kty": "XYZ"}, "key.unsupported"),
        ({"kty": 5}, "key.malformed"),
        ({"kty": "EC"}, "key.unsupported"),
        ({"kty": "EC", "crv": "P-192"}, "key.unsupported"),
        ({"kty": "EC", "crv": "P-256"}, "key.malformed"),
        ({"kty": "EC", "crv": "Ed25519", "x": "AA", "y": "AA"}, "key.unsupported"),
        ({"kty": "OKP", "crv": "P-256", "x": "AA"}, "key.unsupported"),
        ({"kty": "OKP", "crv": "X25519", "x": "AA"}, "key.unsupported"),
        ({"kty": "OKP", "crv": "Ed25519", "x": "AA"}, "key.malformed"),
        ({"kty": "RSA"}, "key.malformed"),
        ({"kty": "RSA", "n": "!!", "e": "AQAB"}, "key.malformed"),
        ({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, "key.malformed"),
        ({"kty": "AKP", "pub": "AA"}, "key.unsupported"),
    ],
)
def test_what_is_no_key_is_refused(members: dict[str, Any], reason: str, refused: Any) -> None:
    refused(reason, sw.PublicJWK.from_dict, members)


def test_coordinates_have_exactly_their_length(signers: dict[str, Any], refused: Any) -> None:
    members = signers["ES256"].public.to_dict()
    longer = base64url.encode_text(b"\x00" + base64url.decode_text(members["x"]))  # the same number
    refused("key.malformed", sw.PublicJWK.from_dict, {**members, "x": longer})


def test_a_point_that_is_not_on_the_curve_is_refused(signers: dict[str, Any], refused: Any) -> None:
    members = signers["ES256"].public.to_dict()
    refused("key.malformed", sw.PublicJWK.from_dict, {**members, "y": members["x"]})


def rsa_members(modulus: int, exponent: int = 65537) -> dict[str, str]:
    n, e = (number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (modulus, exponent))
    return {"kty": "RSA", "alg": "RS256", "n": base64url.encode_text(n), "e": base64url.encode_text(e)}


@pytest.mark.parametrize("exponent", [1, 2, 65536, 2**40 + 1])
def test_weak_rsa_exponents_are_refused(exponent: int, refused: Any) -> None:
    refused("key.too_weak", sw.PublicJWK.from_dict, rsa_members(2**2047 + 9, exponent))


def test_rsa_below_2048_bits_and_above_8192_is_refused(refused: Any) -> None:
    refused("key.too_weak", sw.PublicJWK.from_dict, rsa_members(2**1023 + 9))
    refused("key.unsupported", sw.PublicJWK.from_dict, rsa_members(2**9000 + 9))


def test_a_modulus_with_the_roca_fingerprint_is_refused(signers: dict[str, Any], refused: Any) -> None:
    """Vulnerable primes are k·M + (65537^a mod M), so their products are a power of 65537 modulo each prime of M."""
    primes = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
    product = math.prod(primes)
    modulus = pow(65537, 1234567, product) + product * (2**2047 // product + 4)
    refused("key.too_weak", sw.PublicJWK.from_dict, rsa_members(modulus))
    assert sw.PublicJWK.from_dict(rsa_members(modulus + 2))
    assert sw.PublicJWK.from_dict(signers["RS256"].public.to_dict())


@pytest.mark.parametrize(
    ("curve", "y", "size"),
    [
        *(("Ed25519", y, 32) for y in (0, 1, P25519 - 1, P25519, P25519 + 1)),
        ("Ed25519", 2707385501144840649318225287225658788936804267575313519463743609750303402022, 32),
        ("Ed25519", 55188659117513257062467267217118295137698188065244968500265048394206261417927, 32),
        *(("Ed448", y, 57) for y in (0, 1, P448 - 1, P448, P448 + 1)),
    ],
)
@pytest.mark.parametrize("sign", [0, 1])
def test_small_order_points_are_refused_in_every_encoding(
    curve: str, y: int, size: int, sign: int, refused: Any
) -> None:
    raw = bytearray(y.to_bytes(size, "little"))
    raw[-1] |= sign << 7
    refused(
        "key.too_weak", sw.PublicJWK.from_dict, {"kty": "OKP", "crv": curve, "x": base64url.encode_text(bytes(raw))}
    )


@pytest.mark.parametrize(
    "extra",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": ["encrypt"]},
        {"key_ops": []},
        {"use": "sig", "key_ops": ["verify", "encrypt"]},
    ],
)
def test_a_key_for_another_use_is_refused(extra: dict[str, Any], signers: dict[str, Any], refused: Any) -> None:
    members = {name: value for name, value in signers["ES256"].public.to_dict().items() if name != "use"}
    refused("key.unsuitable", sw.PublicJWK.from_dict, {**members, **extra})


@pytest.mark.parametrize("alg", ["RS256", "ES384", "HS256", "Ed25519"])
def test_an_alg_that_does_not_fit_the_key_is_refused(alg: str, signers: dict[str, Any], refused: Any) -> None:
    refused("algorithm.key_mismatch", sw.PublicJWK.from_dict, {**signers["ES256"].public.to_dict(), "alg": alg})


@pytest.mark.parametrize(("written", "other"), [("Ed25519", "EdDSA"), ("EdDSA", "Ed25519")])
def test_an_ed25519_key_writes_its_own_name_and_accepts_both(written: str, other: str) -> None:
    key = sw.PrivateJWK.generate(written)
    token = sw.sign(b"x", key)
    assert sw.verify_signature(token, key.public).header.algorithm == written
    renamed = sw.PublicJWK.from_dict({**key.public.to_dict(), "alg": other})
    assert sw.verify_signature(token, renamed).payload == b"x"


def test_a_key_without_alg_is_bound_by_a_policy_and_never_by_the_token(signers: dict[str, Any], refused: Any) -> None:
    members = {name: value for name, value in signers["RS256"].public.to_dict().items() if name != "alg"}
    key, token = sw.PublicJWK.from_dict(members), sw.sign(b"x", signers["RS256"])
    refused("key.ambiguous", sw.verify_signature, token, key)
    refused("key.ambiguous", key.bound_to, ["RS256", "PS256"])
    refused("algorithm.not_allowed", key.bound_to, ["ES256"])
    assert sw.verify_signature(token, key.bound_to(["RS256", "ES256"])).payload == b"x"
    refused("algorithm.key_mismatch", sw.verify_signature, token, key.with_algorithm("PS256"))


@pytest.mark.parametrize("size", [0, 1, 16, 31])
def test_short_secrets_are_refused(size: int, refused: Any) -> None:
    members = {"kty": "oct", "alg": "HS256", "k": base64url.encode_text(b"x" * size)}
    refused("key.too_weak" if size else "key.malformed", sw.SecretJWK.from_dict, members)


def test_the_text_of_an_asymmetric_key_is_never_an_hmac_secret(signers: dict[str, Any], refused: Any) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    native = signers["RS256"].public._native
    pem = native.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    texts = [
        pem,
        b"\n  " + pem.replace(b"\n", b"\r\n"),
        b"prefix" + pem,
        native.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        native.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        repr(signers["RS256"].public.to_dict()).replace("'", '"').encode(),
    ]
    for text in texts:
        members = {"kty": "oct", "alg": "HS256", "k": base64url.encode_text(text)}
        refused("key.unsuitable", sw.SecretJWK.from_dict, members)


def test_a_set_keeps_its_good_keys_and_reports_each_bad_one(signers: dict[str, Any]) -> None:
    good = signers["ES256"].public.to_dict()
    listed = [
        {"kty": "RSA", "n": "!!", "e": "AQAB", "kid": "broken"},
        {"kty": "future", "kid": "unknown"},
        good,
        signers["ES384"].export_private_dict(),
        signers["HS256"].export_secret_dict(),
        "text",
        {**good, "use": "enc", "kid": "other use"},
    ]
    keys = sw.JWKSet.from_dict({"keys": listed})
    assert [key.key_id for key in keys] == [good["kid"]]
    assert [(bad.index, str(bad.reason)) for bad in keys.unusable] == [
        (0, "key.malformed"),
        (1, "key.unsupported"),
        (3, "key.not_public"),
        (4, "key.not_public"),
        (5, "key.malformed"),
        (6, "key.unsuitable"),
    ]


def test_a_set_holds_public_keys_only(signers: dict[str, Any]) -> None:
    for key in (signers["HS256"], signers["ES256"]):
        with pytest.raises(TypeError):
            sw.JWKSet([key])


def test_a_set_never_guesses(signers: dict[str, Any], refused: Any) -> None:
    one, two = signers["ES256"].public, sw.PrivateJWK.generate("ES256").public
    refused("key.id_missing", sw.JWKSet([one, two]).find, None)
    refused("key.not_found", sw.JWKSet([one, two]).find, "nobody")
    refused("key.not_found", sw.JWKSet([one]).find, "nobody")
    refused("key.ambiguous", sw.JWKSet([one, one]).find, one.key_id)
    assert sw.JWKSet([one]).find(None) is one


def test_a_set_with_too_many_keys_or_no_list_is_refused(signers: dict[str, Any], refused: Any) -> None:
    refused("key.unsupported", sw.JWKSet.from_dict, {"keys": [signers["ES256"].public.to_dict()] * 101})
    for members in ({}, {"keys": {}}, {"keys": None}):
        refused("key.malformed", sw.JWKSet.from_dict, members)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["kty", "crv", "alg", "kid", "use", "key_ops", "n", "e", "x", "y", "d", "k", "pub", "priv"])
likely = st.sampled_from(["RSA", "EC", "OKP", "AKP", "oct", "P-256", "Ed25519", "ML-DSA-44", "RS256", "sig", "AQAB"])


@given(st.dictionaries(names, json_values | likely, max_size=10))
def test_property_any_members_are_a_key_or_are_refused(members: dict[str, Any]) -> None:
    for read in (sw.PublicJWK.from_dict, sw.PrivateJWK.from_dict, sw.SecretJWK.from_dict):
        with contextlib.suppress(sw.RejectedError):
            read(members)
    sw.JWKSet.from_dict({"keys": [members]})


def test_a_member_that_nobody_knows_is_never_published() -> None:
    members = sw.PrivateJWK.generate("ES256").export_private_dict()
    read = sw.PrivateJWK.from_dict({**members, "backup_of_d": members["d"], "use": "sig", "iat": 1})
    assert read.public.to_dict().keys() == {"kty", "crv", "x", "y", "alg", "kid", "use", "iat"}
    assert "backup_of_d" not in read.export_private_dict()
