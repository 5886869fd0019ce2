"""Examples of the RFCs: verified, and written again byte for byte where the algorithm is deterministic."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import joserfc.jwk
import jwcrypto.jwk
import pytest

import sealwright as sw
from sealwright.jose import base64url
from sealwright.jose.detached import sign_stream, verify_stream
from sealwright.jose.json_forms import sign_flattened, sign_general
from sealwright.jose.multi_verification import decide_signatures, verify_signatures
from sealwright.jose.signature_policy import ANY_SIGNATURE, EVERY_SIGNATURE, SignaturePolicy

Load = Callable[[str], Any]
RFC7520 = {
    "4_1.rsa_v15_signature": ["compact", "json", "json_flat"],
    "4_2.rsa-pss_signature": ["compact", "json", "json_flat"],
    "4_3.ecdsa_signature": ["compact", "json", "json_flat"],
    "4_4.hmac-sha2_integrity_protection": ["compact", "json", "json_flat"],
    "4_5.signature_with_detached_content": ["compact", "json", "json_flat"],
    "4_6.protecting_specific_header_fields": ["json", "json_flat"],
    "4_7.protecting_content_only": ["json", "json_flat"],
    "4_8.multiple_signatures": ["json"],
}
COOKBOOK = {
    **{f"jws/{name}": forms for name, forms in RFC7520.items()},
    "curve25519/jws": ["compact", "json", "json_flat"],
    "rfc7797/4.2.hmac-sha2_b64_false": ["json", "json_flat"],
    "rfc7797/hmac-sha2_b64_false": ["compact", "json", "json_flat"],
}
REFUSED = {
    "jws/4_7.protecting_content_only": "header.malformed",  # an algorithm that is not protected can be exchanged
    "rfc7797/4.2.hmac-sha2_b64_false": "header.critical",  # RFC 7797 §6: its "b64" is not in "crit"
}
SEVERAL = "jws/4_8.multiple_signatures"
PAIRS = [(name, form) for name, forms in COOKBOOK.items() for form in forms]


def both_halves(members: dict[str, Any], alg: str) -> tuple[Any, Any]:
    members = {"alg": alg, **members}
    if members["kty"] == "oct":
        secret = sw.SecretJWK.from_dict(members)
        return secret, secret
    private = sw.PrivateJWK.from_dict(members)
    return private, private.public


def of_example(example: dict[str, Any]) -> tuple[Any, Any]:
    return both_halves(example["input"]["key"], example["input"]["alg"])


def verdicts(text: Any, key: Any, content: bytes | None) -> Iterator[Any]:
    """What comes out of a serialization everywhere that it can be read: the payload, or the reason."""
    calls: list[Callable[[], Any]] = []
    if isinstance(text, str):
        calls.append(lambda: sw.verify_signature(text, key, payload=content).payload)
        if content is not None:
            calls.append(lambda: verify_stream(text, io.BytesIO(content), key) and content)
    else:
        written = json.dumps(text)
        calls.append(lambda: verify_signatures(written, key, policy=ANY_SIGNATURE, payload=content))
        calls.append(lambda: verify_signatures(written, key, policy=EVERY_SIGNATURE, payload=content))
    for call in calls:
        try:
            found = call()
            yield found if isinstance(found, bytes) else found.payload
        except sw.RejectedError as error:
            yield error.reason


def test_every_jws_of_the_cookbook_is_tried(vectors: Load) -> None:
    assert len(PAIRS) == 28
    assert {name: list(vectors(f"cookbook/{name}.json")["output"]) for name in COOKBOOK} == COOKBOOK


@pytest.mark.parametrize(("name", "form"), [pair for pair in PAIRS if pair[0] != SEVERAL])
def test_rfc_7520_7797_and_8037_signatures(vectors: Load, name: str, form: str) -> None:
    example = vectors(f"cookbook/{name}.json")
    payload = example["input"]["payload"].encode()
    content = payload if "detached" in name else None
    found = set(verdicts(example["output"][form], of_example(example)[1], content))
    assert found == {REFUSED.get(name, payload)}


def test_rfc_7520_several_signatures(vectors: Load) -> None:
    """Two of the three hold, each with its own key; the third has an algorithm that is not protected."""
    example = vectors(f"cookbook/{SEVERAL}.json")
    expected = {
        "RS256": [None, "header.malformed", "key.not_found"],
        "ES512": ["algorithm.key_mismatch", "header.malformed", "key.not_found"],
        "HS256": ["key.not_found", "header.malformed", None],
    }
    for members, alg in zip(example["input"]["key"], example["input"]["alg"], strict=True):
        key = both_halves(members, alg)[1]
        report = decide_signatures(json.dumps(example["output"]["json"]), key, policy=SignaturePolicy())
        assert [one.reason for one in report.results] == expected[alg]
        assert report.payload == (example["input"]["payload"].encode() if None in expected[alg] else None)


def test_reproducible_signatures_are_the_same_bytes(vectors: Load) -> None:
    """Whatever our header would say: the signature over the example's signing input is the example's."""
    checked = []
    for name in COOKBOOK.keys() - REFUSED.keys():
        example = vectors(f"cookbook/{name}.json")
        if example.get("reproducible") and "7797" not in name:  # there the inputs are not those of the output
            signer = of_example(example)[0]
            signed = signer.sign(example["signing"]["sig-input"].encode())
            assert base64url.encode_text(signed) == example["signing"]["sig"]
            checked.append(name)
    assert len(checked) == 5


@pytest.mark.parametrize("name", ["jws/4_1.rsa_v15_signature", "jws/4_4.hmac-sha2_integrity_protection"])
def test_reproducible_tokens_are_written_again_byte_for_byte(vectors: Load, name: str) -> None:
    example = vectors(f"cookbook/{name}.json")
    payload, signer, output = example["input"]["payload"].encode(), of_example(example)[0], example["output"]
    assert sw.sign(payload, signer) == output["compact"]
    assert json.loads(sign_flattened(payload, signer)) == output["json_flat"]
    assert json.loads(sign_general(payload, [signer])) == output["json"]


def test_detached_and_partly_protected_tokens_are_written_again(vectors: Load) -> None:
    example = vectors("cookbook/jws/4_5.signature_with_detached_content.json")
    payload, signer, output = example["input"]["payload"].encode(), of_example(example)[0], example["output"]
    assert sw.sign(payload, signer, detached=True) == output["compact"]
    assert sign_stream(io.BytesIO(payload), signer) == output["compact"]
    assert json.loads(sign_flattened(payload, signer, detached=True)) == output["json_flat"]
    assert json.loads(sign_general(payload, [signer], detached=True)) == output["json"]

    example = vectors("cookbook/jws/4_6.protecting_specific_header_fields.json")
    unprotected = example["signing"]["unprotected"]
    nameless = {name: value for name, value in example["input"]["key"].items() if name != "kid"}
    signer = both_halves(nameless, example["input"]["alg"])[0]
    payload = example["input"]["payload"].encode()
    assert json.loads(sign_flattened(payload, signer, unprotected=unprotected)) == example["output"]["json_flat"]


def test_rfc_7797_tokens_are_written_again(vectors: Load) -> None:
    example = vectors("cookbook/rfc7797/hmac-sha2_b64_false.json")
    payload, signer, output = example["input"]["payload"].encode(), of_example(example)[0], example["output"]
    assert sw.sign(payload, signer, b64=False) == output["compact"]
    assert json.loads(sign_flattened(payload, signer, b64=False)) == output["json_flat"]
    assert json.loads(sign_general(payload, [signer], b64=False)) == output["json"]


@pytest.mark.parametrize("size", ["44", "65", "87"])
def test_rfc_9964_mldsa(vectors: Load, size: str) -> None:
    example = vectors(f"rfc9964-mldsa/examples/jose/examples/ML_DSA_{size}.jose.json")
    seed = base64url.encode_text(bytes.fromhex(example["priv"]))
    private = sw.PrivateJWK.from_dict({**example["jwk"], "priv": seed})
    assert private.public.members["pub"] == example["jwk"]["pub"]
    assert base64url.decode_text(example["jwk"]["pub"]).hex() == example["raw_public_key"]
    assert private.public.thumbprint() == example["jwk"]["kid"]
    public = sw.PublicJWK.from_dict({name: value for name, value in example["jwk"].items() if name != "priv"})
    assert sw.verify_signature(example["jws"], public).key_id == example["jwk"]["kid"]
    assert public.verify(bytes.fromhex(example["raw_signature"]), bytes.fromhex(example["raw_to_be_signed"]))


def test_rfc_7638_thumbprint_of_the_key_of_rfc_8037(vectors: Load) -> None:
    """RFC 8037, Appendix A.3."""
    public = of_example(vectors("cookbook/curve25519/jws.json"))[1]
    assert public.thumbprint() == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES512", "ES256K", "Ed25519", "Ed448"])
def test_rfc_7638_thumbprints_are_those_of_other_libraries(alg: str) -> None:
    public = sw.PrivateJWK.generate(alg).public
    assert public.thumbprint() == joserfc.jwk.import_key(public.to_dict()).thumbprint()
    assert public.thumbprint() == jwcrypto.jwk.JWK(**public.to_dict()).thumbprint()
