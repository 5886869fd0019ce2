"""Examples of the RFCs: verified, and written again byte for byte where the algorithm is deterministic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import joserfc.jwk
import jwcrypto.jwk
import pytest

import sealwright as sw
from sealwright.jose import base64url

Load = Callable[[str], Any]
RFC7520 = [
    "4_1.rsa_v15_signature",
    "4_2.rsa-pss_signature",
    "4_3.ecdsa_signature",
    "4_4.hmac-sha2_integrity_protection",
]


def both_halves(example: dict[str, Any]) -> tuple[Any, Any]:
    members = {"alg": example["input"]["alg"], **example["input"]["key"]}
    if members["kty"] == "oct":
        secret = sw.SecretJWK.from_dict(members)
        return secret, secret
    private = sw.PrivateJWK.from_dict(members)
    return private, private.public


@pytest.mark.parametrize("name", RFC7520)
def test_rfc_7520_compact_signatures(vectors: Load, name: str) -> None:
    example = vectors(f"cookbook/jws/{name}.json")
    signer, verifier = both_halves(example)
    assert sw.verify_signature(example["output"]["compact"], verifier).payload.decode() == example["input"]["payload"]
    if example.get("reproducible"):
        signing_input = example["signing"]["sig-input"].encode()
        assert base64url.encode_text(signer.sign(signing_input)) == example["signing"]["sig"]


def test_rfc_8037_ed25519(vectors: Load) -> None:
    example = vectors("cookbook/curve25519/jws.json")
    signer, verifier = both_halves(example)
    assert sw.verify_signature(example["output"]["compact"], verifier).payload.decode() == example["input"]["payload"]
    assert base64url.encode_text(signer.sign(example["signing"]["sig-input"].encode())) == example["signing"]["sig"]


@pytest.mark.parametrize("size", ["44", "65", "87"])
def test_rfc_9964_mldsa(vectors: Load, size: str) -> None:
    example = vectors(f"rfc9964-mldsa/examples/jose/examples/ML_DSA_{size}.jose.json")
    seed = base64url.encode_text(bytes.fromhex(example["priv"]))
    private = sw.PrivateJWK.from_dict({**example["jwk"], "priv": seed})
    assert private.public.members["pub"] == example["jwk"]["pub"]
    assert private.public.thumbprint() == example["jwk"]["kid"]
    public = {name: value for name, value in example["jwk"].items() if name != "priv"}
    jws = sw.verify_signature(example["jws"], sw.PublicJWK.from_dict(public))
    assert jws.key_id == example["jwk"]["kid"]


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES512", "Ed25519", "Ed448"])
def test_rfc_7638_thumbprints_are_those_of_other_libraries(alg: str) -> None:
    public = sw.PrivateJWK.generate(alg).public
    assert public.thumbprint() == joserfc.jwk.import_key(public.to_dict()).thumbprint()
    assert public.thumbprint() == jwcrypto.jwk.JWK(**public.to_dict()).thumbprint()
