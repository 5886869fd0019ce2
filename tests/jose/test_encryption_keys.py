"""EncryptionJWK, DecryptionJWK and SharedEncryptionJWK: what is a key, what is not, and what never gets out."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import jwcrypto.jwk
import pytest

import sealwright as sw
from sealwright.jose.encryption_keys import KEY_ALGORITHMS
from sealwright.jose.nested import DecryptionJWK, EncryptionJWK, SharedEncryptionJWK, decrypt, encrypt

ASYMMETRIC = [alg for alg, kty in KEY_ALGORITHMS.items() if kty != "oct"]


@pytest.fixture(scope="module")
def signer() -> sw.PrivateJWK:
    return sw.PrivateJWK.generate("Ed25519")


@pytest.fixture(scope="module")
def inner(signer: sw.PrivateJWK) -> str:
    return sw.sign(b"{}", signer, typ="order+jws")


def test_signing_keys_and_encryption_keys_never_stand_in_for_each_other(
    signer: sw.PrivateJWK, recipients: dict[str, DecryptionJWK], inner: str, refused: Any
) -> None:
    mac = sw.SecretJWK.generate("HS256")
    for key in (signer, signer.public, mac, recipients["ECDH-ES"]):
        refused("key.unsuitable", encrypt, inner, key)
    for key in (signer, mac, recipients["ECDH-ES"].public):
        refused("key.unsuitable", decrypt, encrypt(inner, recipients["ECDH-ES"].public), key)
    ec = sw.PrivateJWK.generate("ES256")
    refused("key.unsuitable", EncryptionJWK.from_dict, ec.public.to_dict())
    refused("key.unsuitable", DecryptionJWK.from_dict, ec.export_private_dict())
    refused("key.unsuitable", SharedEncryptionJWK.from_dict, mac.export_secret_dict())
    refused("key.unsuitable", DecryptionJWK.generate, "ES256")
    public, private = recipients["ECDH-ES"].public.to_dict(), recipients["ECDH-ES"].export_private_dict()
    refused("key.unsuitable", sw.PublicJWK.from_dict, public)
    refused("key.unsuitable", sw.PrivateJWK.from_dict, private)
    refused("key.unsuitable", sw.SecretJWK.from_dict, SharedEncryptionJWK.generate("A256KW").export_secret_dict())
    assert [key.reason for key in sw.JWKSet.from_dict({"keys": [public]}).unusable] == ["key.unsuitable"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"use": "sig"}, "key.unsuitable"),
        ({"alg": "ES256"}, "key.unsuitable"),
        ({"key_ops": ["verify"]}, "key.unsuitable"),
        ({"key_ops": ["deriveKey", "sign"]}, "key.unsuitable"),
        ({"key_ops": "deriveKey"}, "key.malformed"),
        ({"alg": None}, "key.ambiguous"),
        ({"alg": "RSA1_5"}, "algorithm.unknown"),
        ({"alg": "A256GCM"}, "algorithm.key_mismatch"),
        ({"alg": "RSA-OAEP-256"}, "algorithm.key_mismatch"),
        ({"crv": "secp256k1"}, "key.unsupported"),
        ({"kty": "OKP", "crv": "X25519"}, "algorithm.key_mismatch"),
        ({"kty": "oct"}, "key.not_public"),
        ({"kid": 5}, "key.malformed"),
        ({"x": "AA"}, "key.malformed"),
    ],
    ids=str,
)
def test_a_jwk_that_is_no_encryption_key_is_refused(
    change: dict[str, Any], reason: str, recipients: dict[str, DecryptionJWK], refused: Any
) -> None:
    key = recipients["ECDH-ES"]
    for read, members in (
        (EncryptionJWK.from_dict, key.public.to_dict()),
        (DecryptionJWK.from_dict, key.export_private_dict()),
    ):
        changed = {name: value for name, value in {**members, **change}.items() if value is not None}
        refused(reason, read, changed)


def test_halves_that_do_not_belong_together_and_private_members_in_public_keys_are_refused(
    recipients: dict[str, DecryptionJWK], refused: Any
) -> None:
    members = recipients["ECDH-ES"].export_private_dict()
    refused("key.not_public", EncryptionJWK.from_dict, members)
    refused(
        "key.malformed",
        DecryptionJWK.from_dict,
        {**members, "d": recipients["ECDH-ES+A128KW"].export_private_dict()["d"]},
    )


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"alg": "A256KW", "k": "A" * 22}, "key.malformed"),
        ({"alg": "A256GCM", "k": "A" * 22}, "key.malformed"),
        ({"alg": "dir", "k": "AAAA"}, "key.malformed"),
        ({"alg": "dir"}, "key.malformed"),
        ({"alg": "A128KW", "k": "A" * 22}, "algorithm.unknown"),
        ({"alg": "HS256", "k": "A" * 43}, "key.unsuitable"),
        ({"alg": "A256KW", "k": "A" * 43, "use": "sig"}, "key.unsuitable"),
        ({"alg": "ECDH-ES", "k": "A" * 43}, "algorithm.key_mismatch"),
        ({"alg": "A256KW", "kty": "RSA"}, "key.unsuitable"),
    ],
    ids=str,
)
def test_a_jwk_that_is_no_encryption_secret_is_refused(members: dict[str, Any], reason: str, refused: Any) -> None:
    refused(reason, SharedEncryptionJWK.from_dict, {"kty": "oct", **members})


def test_a_secret_is_generated_for_one_algorithm(refused: Any) -> None:
    refused("key.ambiguous", SharedEncryptionJWK.generate, "dir")
    refused("algorithm.key_mismatch", SharedEncryptionJWK.generate, "ECDH-ES")
    refused("algorithm.unknown", SharedEncryptionJWK.generate, "A128KW")
    refused("algorithm.key_mismatch", DecryptionJWK.generate, "A256KW")


def test_a_secret_named_dir_encrypts_what_its_length_fits(inner: str, refused: Any) -> None:
    key = SharedEncryptionJWK.from_dict({"kty": "oct", "alg": "dir", "k": "A" * 22})
    assert decrypt(encrypt(inner, key, enc="A128GCM"), key) == inner
    refused("algorithm.key_mismatch", encrypt, inner, key)
    refused("algorithm.unknown", encrypt, inner, key, enc="A192GCM")


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_key_exports_and_reads_back_as_itself(alg: str, recipients: dict[str, DecryptionJWK], inner: str) -> None:
    key = recipients[alg]
    again = DecryptionJWK.from_dict(key.export_private_dict())
    public = EncryptionJWK.from_dict(key.public.to_dict())
    assert decrypt(encrypt(inner, public), again) == inner
    assert (again.key_id, public.key_id) == (key.key_id, key.key_id)
    assert key.key_id == jwcrypto.jwk.JWK(**key.public.to_dict()).thumbprint()


def test_keys_never_show_or_pickle_themselves(recipients: dict[str, DecryptionJWK]) -> None:
    shared = SharedEncryptionJWK.generate("A256KW")
    for key, hidden in ((recipients["ECDH-ES"], "d"), (recipients["RSA-OAEP-256"], "p"), (shared, "k")):
        exported = key.export_secret_dict() if key is shared else key.export_private_dict()
        assert "redacted" in repr(key)
        assert exported[hidden] not in f"{key!r}{key}"
        for leak in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                leak(key)
