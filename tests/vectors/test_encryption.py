"""Encryption vectors of others: what our policy allows decrypts, and everything else is refused for a named reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import jwcrypto.jwe
import jwcrypto.jwk
import pytest

import sealwright as sw
from sealwright.jose import base64url, nested
from sealwright.jose.encryption_keys import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from sealwright.jose.nested import DecryptionJWK, SharedEncryptionJWK

Load = Callable[[str], Any]

# RFC 7520 §5: what decrypts, and why the rest is refused
EXAMPLES = {
    "5_1.key_encryption_using_rsa_v15_and_aes-hmac-sha2": "algorithm.unknown",
    "5_2.key_encryption_using_rsa-oaep_with_aes-gcm": "algorithm.unknown",
    "5_4.key_agreement_with_key_wrapping_using_ecdh-es_and_aes-keywrap_with_aes-gcm": None,
    "5_5.key_agreement_using_ecdh-es_with_aes-cbc-hmac-sha2": None,
    "5_6.direct_encryption_using_aes-gcm": None,
    "5_7.key_wrap_using_aes-gcm_keywrap_with_aes-cbc-hmac-sha2": "algorithm.unknown",
    "5_8.key_wrap_using_aes-keywrap_with_aes-gcm": "algorithm.unknown",
    "5_9.compressed_content": "algorithm.unknown",
}
# Wycheproof tokens that are labelled valid and refused by policy: "alg" or "enc" -> how many
REFUSED_BY_POLICY = {
    "RSA1_5": 8,
    "RSA-OAEP": 7,
    "A128KW": 3,
    "A192KW": 1,
    "A128GCMKW": 1,
    "A192GCMKW": 1,
    "A256GCMKW": 4,
    "ECDH-ES+A192KW": 2,
    "A192GCM": 4,
    "A192CBC-HS384": 4,
}

# and those that are labelled invalid: reason -> how many
REFUSED_AS_LABELLED = {
    "algorithm.unknown": 30,
    "encryption.invalid": 27,
    "token.malformed": 11,
    "token.encoding": 2,
    "json.malformed": 2,
    "key.not_found": 1,
    "header.malformed": 1,
}


def key_from(members: dict[str, Any]) -> Any:
    return (SharedEncryptionJWK if members["kty"] == "oct" else DecryptionJWK).from_dict(members)


def refused(reason: str, call: Callable[..., Any], *arguments: Any) -> None:
    with pytest.raises(sw.RejectedError) as caught:
        call(*arguments)
    assert caught.value.reason == reason


def opened(token: str, members: dict[str, Any]) -> bytes:
    """The content before it is asked to be a signed token: in these vectors it is plain text."""
    return nested._open(token, key_from(members))[1]


@pytest.mark.parametrize(("name", "reason"), EXAMPLES.items())
def test_rfc_7520_encryption(vectors: Load, name: str, reason: str | None) -> None:
    example = vectors(f"cookbook/jwe/{name}.json")
    given, token = example["input"], example["output"]["compact"]
    members = {"alg": given["alg"], **given["key"]}
    if reason is None:
        assert opened(token, members).decode() == given["plaintext"]
        refused("encryption.content", nested.decrypt, token, key_from(members))
    else:
        refused(reason, key_from, members)
        refused(reason, nested.decrypt, token, SharedEncryptionJWK.generate("A256KW"))


def test_rfc_7520_password_encryption_is_refused(vectors: Load) -> None:
    example = vectors("cookbook/jwe/5_3.key_wrap_using_pbes2-aes-keywrap_with-aes-cbc-hmac-sha2.json")
    key = SharedEncryptionJWK.generate("A256KW")
    refused("algorithm.unknown", nested.decrypt, example["output"]["compact"], key)


def test_rfc_7520_nesting(vectors: Load) -> None:
    """§6 encrypts with RSA-OAEP and SHA-1, which is refused here; what is inside is one of ours."""
    example = vectors("applied/rfc7520-nested/nested.json")
    given, token = example["encrypt"]["input"], example["encrypt"]["output"]["compact"]
    key = DecryptionJWK.from_dict({**given["key"], "alg": "RSA-OAEP-256"})
    refused("algorithm.unknown", nested.decrypt, token, key)

    theirs = jwcrypto.jwe.JWE(algs=["RSA-OAEP", "A128GCM"])
    theirs.deserialize(token, jwcrypto.jwk.JWK(**{**given["key"], "alg": "RSA-OAEP"}))
    inner = theirs.payload.decode()
    assert inner == given["plaintext"] == example["sign"]["output"]["compact"]

    text = nested.encrypt(inner, key.public, enc="A128GCM")
    header = json.loads(base64url.decode_text(text.split(".")[0]))
    assert header["cty"] == example["encrypt"]["encrypting_content"]["protected"]["cty"]
    signed_by = {**example["sign"]["input"]["key"], "alg": "PS256", "kid": None}
    public = {name: signed_by[name] for name in ("kty", "n", "e", "alg")}
    verified = nested.verify_nested(text, key, sw.PublicJWK.from_dict(public), typ="JWT")
    assert verified.payload.decode() == example["sign"]["input"]["payload"]


def test_json_web_encryption(vectors: Load) -> None:
    """All 139: whatever is labelled invalid is refused, and what is labelled valid decrypts or is refused by policy."""
    wrong, by_policy, reasons, count = [], Counter[str](), Counter[str](), Counter[str]()
    for group in vectors("wycheproof/json_web_encryption_test.json")["testGroups"]:
        for case in group["tests"]:
            count[case["result"]] += 1
            try:
                content = opened(case["jwe"], group["private"])
            except sw.RejectedError as error:
                reasons[error.reason] += case["result"] == "invalid"
                if case["result"] == "valid":
                    by_policy[refused_name(case["jwe"])] += 1
            else:
                if case["result"] == "invalid" or content.hex() != case["pt"]:
                    wrong.append((case["tcId"], case["comment"]))
    assert not wrong
    assert by_policy == REFUSED_BY_POLICY
    assert count == {"valid": 65, "invalid": 74}
    assert +reasons == REFUSED_AS_LABELLED


def refused_name(token: str) -> str:
    """The "alg" or "enc" that has no row here."""
    header = json.loads(base64url.decode_text(token.split(".")[0]))
    if header["alg"] not in KEY_ALGORITHMS:
        return str(header["alg"])
    return str(header["enc"]) if header["enc"] not in CONTENT_ALGORITHMS else "NO REASON"
