"""Compact tokens: round trips, limits, headers, and every strictness probe that concerns them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sealwright as sw
from sealwright.jose import base64url, compact
from sealwright.jose.algorithms import ALGORITHMS
from sealwright.jose.header import Header

sharing = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=settings().max_examples // 3,
)


def verifying(signer: Any) -> Any:
    return signer if isinstance(signer, sw.SecretJWK) else signer.public


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
@given(payload=st.binary(max_size=200), typ=st.none() | st.sampled_from(["JWT", "order+jws"]))
@sharing
def test_property_what_is_signed_verifies(alg: str, signers: dict[str, Any], payload: bytes, typ: str | None) -> None:
    token = sw.sign(payload, signers[alg], typ=typ)
    jws = sw.verify_signature(token, verifying(signers[alg]))
    assert (jws.payload, jws.header.type, jws.header.algorithm) == (payload, typ, alg)
    assert jws.key_id == signers[alg].key_id


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "HS256", "RS256", "ML-DSA-44"])
@given(place=st.integers(min_value=0), byte=st.integers(min_value=0, max_value=127))
@sharing
def test_property_no_changed_token_verifies(alg: str, signers: dict[str, Any], place: int, byte: int) -> None:
    token = bytearray(sw.sign(b'{"sub":"alice"}', signers[alg]).encode())
    if token[place % len(token)] == byte:
        return
    token[place % len(token)] = byte
    with pytest.raises(sw.RejectedError):
        sw.verify_signature(bytes(token), verifying(signers[alg]))


@given(st.text(max_size=100) | st.binary(max_size=100))
def test_property_any_text_parses_or_is_refused(token: str | bytes) -> None:
    with contextlib.suppress(sw.RejectedError):
        compact.parse(token)


@given(st.binary(max_size=100))
def test_property_any_header_parses_or_is_refused(text: bytes) -> None:
    with contextlib.suppress(sw.RejectedError):
        Header.parse(base64url.encode(text))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "token.missing"),
        (b"", "token.missing"),
        ("abc", "token.malformed"),
        ("a.b", "token.malformed"),
        ("a.b.c.d", "token.malformed"),
        ("." * 1_000_000, "token.malformed"),
        ("A" * 10_000_000, "token.too_large"),
        ("e30.e30." + "é", "token.encoding"),
        ("e30.e30.e30", "header.malformed"),
        ("!.e30.e30", "token.encoding"),
        ("W10.e30.e30", "json.malformed"),
        (" e30.e30.e30", "token.encoding"),
        ("A" * 20_000 + ".e30.e30", "header.too_large"),
    ],
)
def test_what_is_no_token_is_refused(token: str | bytes, reason: str, refused: Any) -> None:
    refused(reason, compact.parse, token)


def test_a_hand_made_token_is_accepted_so_that_the_refusals_below_mean_something(
    forge: Any, secret: sw.SecretJWK
) -> None:
    assert sw.verify_signature(forge({"alg": "HS256"}), secret).json() == {"sub": "u"}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": "none"}, "algorithm.key_mismatch"),
        ({"alg": "nOnE"}, "algorithm.key_mismatch"),
        ({"alg": ""}, "header.malformed"),
        ({}, "header.malformed"),
        ({"alg": 5}, "header.malformed"),
        ({"alg": ["HS256"]}, "header.malformed"),
        ({"alg": "HS256", "kid": 5}, "header.malformed"),
        ({"alg": "HS256", "typ": []}, "header.malformed"),
        ({"alg": "HS256", "crit": ["ext"], "ext": 1}, "header.critical"),
        ({"alg": "HS256", "crit": ["b64"]}, "header.critical"),
        ({"alg": "HS256", "crit": "b64"}, "header.critical"),
        ({"alg": "HS256", "crit": []}, "header.critical"),
        ({"alg": "HS256", "crit": ["kid"], "kid": "x"}, "header.critical"),
        ({"alg": "HS256", "crit": ["b64", "b64"], "b64": True}, "header.critical"),
        ({"alg": "HS256", "crit": [5]}, "header.critical"),
        ({"alg": "HS256", "crit": None}, "header.critical"),
        ({"alg": "HS256", "b64": False}, "header.critical"),
        ({"alg": "HS256", "b64": "false", "crit": ["b64"]}, "header.critical"),
    ],
)
def test_hostile_headers_are_refused(header: Any, reason: str, forge: Any, secret: Any, refused: Any) -> None:
    refused(reason, sw.verify_signature, forge(header), secret)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"alg":"none","alg":"HS256"}', "json.duplicate_name"),
        (b'{"alg":"HS256","x":NaN}', "json.malformed"),
        (b'{"alg":"HS256","x":' + b"[" * 5000 + b"]" * 5000 + b"}", "json.too_deep"),
        ('{"alg":"HS256"}'.encode("utf-16"), "json.malformed"),
        (b'["HS256"]', "json.malformed"),
    ],
)
def test_headers_that_are_not_strict_json_are_refused(
    raw: bytes, reason: str, forge: Any, secret: Any, refused: Any
) -> None:
    refused(reason, sw.verify_signature, forge(None, raw_header=raw), secret)


def test_unknown_members_that_are_not_critical_are_ignored(forge: Any, secret: sw.SecretJWK) -> None:
    assert sw.verify_signature(forge({"alg": "HS256", "anything": {"else": 1}}), secret)


@pytest.mark.parametrize(
    "change", [lambda s: s + "=", lambda s: s + "\n", lambda s: s[:-1], lambda s: s[:0], lambda s: s[:-8]]
)
def test_signatures_in_another_encoding_or_length_are_refused(change: Any, forge: Any, secret: Any) -> None:
    head, payload, signature = forge({"alg": "HS256"}).split(".")
    with pytest.raises(sw.RejectedError):
        sw.verify_signature(f"{head}.{payload}.{change(signature)}", secret)


def test_flipping_an_unused_bit_of_the_last_character_is_refused(forge: Any, secret: Any, refused: Any) -> None:
    token = forge({"alg": "HS256"})
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    refused("token.encoding", sw.verify_signature, twin, secret)


@pytest.mark.parametrize("members", [["jwk"], ["jku"], ["x5u"], ["x5c"], ["jwk", "jku", "x5u", "x5c"]])
def test_keys_that_a_token_brings_along_never_choose_the_key(members: list[str], signers: dict[str, Any]) -> None:
    attacker = sw.PrivateJWK.generate("ES256")
    brought = {
        "jwk": attacker.public.to_dict(),
        "jku": "https://evil.example",
        "x5u": "https://evil.example",
        "x5c": [],
    }
    header = {"alg": "ES256", **{name: brought[name] for name in members}}
    signing_input = base64url.encode(json.dumps(header).encode()) + b"." + base64url.encode(b"{}")
    token = signing_input + b"." + base64url.encode(attacker.sign(signing_input))
    with pytest.raises(sw.RejectedError) as caught:
        sw.verify_signature(token, signers["ES256"].public)
    assert caught.value.reason == "signature.invalid"


def test_a_public_key_never_verifies_an_hmac_over_its_own_text(signers: dict[str, Any], refused: Any) -> None:
    public = signers["RS256"].public
    header = base64url.encode(json.dumps({"alg": "HS256", "kid": public.key_id}).encode())
    token = header + b".e30." + base64url.encode(b"x" * 32)
    refused("algorithm.key_mismatch", sw.verify_signature, token, public)
    refused("algorithm.key_mismatch", sw.verify_signature, token, sw.JWKSet([public]))


@pytest.mark.parametrize("alg", ["RS256", "RS384", "PS256", "PS512"])
def test_a_key_verifies_its_own_algorithm_and_no_other(alg: str, signers: dict[str, Any], refused: Any) -> None:
    other = "RS512" if alg != "RS512" else "RS256"
    key = sw.PrivateJWK.from_dict({**signers[alg].export_private_dict(), "alg": other})
    refused("algorithm.key_mismatch", sw.verify_signature, sw.sign(b"x", key), signers[alg].public)


@pytest.mark.parametrize("signature", [b"\x00" * 64, b"\xff" * 64, b"\x00" * 63, b"\x01" * 65, b""])
def test_psychic_ecdsa_signatures_and_wrong_lengths_are_refused(
    signature: bytes, signers: dict[str, Any], refused: Any
) -> None:
    head, payload, _ = sw.sign(b"{}", signers["ES256"]).split(".")
    token = f"{head}.{payload}.{base64url.encode_text(signature)}"
    refused("signature.invalid", sw.verify_signature, token, signers["ES256"].public)


def test_a_der_signature_is_not_a_jws_signature(signers: dict[str, Any], refused: Any) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    head, payload, _ = sw.sign(b"{}", signers["ES256"]).split(".")
    der = signers["ES256"]._native.sign(f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    refused(
        "signature.invalid",
        sw.verify_signature,
        f"{head}.{payload}.{base64url.encode_text(der)}",
        signers["ES256"].public,
    )


def test_a_kid_that_differs_is_never_ignored(signers: dict[str, Any], refused: Any) -> None:
    token = sw.sign(b"x", signers["ES256"])
    renamed = sw.PublicJWK.from_dict({**signers["ES256"].public.to_dict(), "kid": "another"})
    refused("key.not_found", sw.verify_signature, token, renamed)
    refused("key.not_found", sw.verify_signature, token, sw.JWKSet([renamed]))


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1 --", "\x00", "x" * 10_000, "kid\r\nSet-Cookie: a=b"])
def test_a_kid_is_an_opaque_text(kid: str, signers: dict[str, Any], refused: Any) -> None:
    key = sw.PrivateJWK.from_dict({**signers["ES256"].export_private_dict(), "kid": kid})
    token = sw.sign(b"x", key)
    assert sw.verify_signature(token, sw.JWKSet([key.public])).key_id == kid
    refused("key.not_found", sw.verify_signature, token, sw.JWKSet([signers["ES256"].public]))


def test_an_encrypted_token_is_not_a_signed_one(refused: Any, secret: Any) -> None:
    jwe = base64url.encode_text(b'{"alg":"dir","enc":"A256GCM"}') + "..AAAA.AAAA.AAAA"
    refused("token.malformed", sw.verify_signature, jwe, secret)


@pytest.mark.parametrize(
    "token", ['{"payload":"e30","signatures":[]}', '{"protected":"e30","payload":"e30","signature":""}']
)
def test_json_serialization_is_not_a_compact_token(token: str, secret: Any, refused: Any) -> None:
    refused("token.malformed", sw.verify_signature, token, secret)


@pytest.mark.parametrize(
    ("typ", "expected", "accepted"),
    [
        ("at+jwt", "at+jwt", True),
        ("application/at+jwt", "at+jwt", True),
        ("AT+JWT", "at+jwt", True),
        ("JWT", "at+jwt", False),
        (None, "at+jwt", False),
        ("text/at+jwt", "at+jwt", False),
    ],
)
def test_types_compare_as_media_types(typ: str | None, expected: str, accepted: bool, signers: dict[str, Any]) -> None:
    header = compact.parse(sw.sign(b"x", signers["ES256"], typ=typ)).header
    if accepted:
        header.check_type(expected)
    else:
        with pytest.raises(sw.RejectedError):
            header.check_type(expected)


def test_an_unverified_token_does_not_show_itself(signers: dict[str, Any]) -> None:
    token = sw.sign(b'{"sub":"alice"}', signers["ES256"])
    shown = repr(compact.parse(token)) + repr(sw.verify_signature(token, signers["ES256"].public))
    assert not any(part in shown for part in token.split("."))
    assert "alice" not in shown


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "ES256K"])
def test_ecdsa_signatures_keep_the_zeros_that_der_leaves_out(alg: str) -> None:
    """One number in 256 begins with a zero byte; among 4000 signatures there are some of r and of s."""
    key = sw.PrivateJWK.generate(alg)
    signatures = [key.sign(b"%d" % number) for number in range(4000)]
    size = len(signatures[0]) // 2
    assert {len(one) for one in signatures} == {2 * size}
    for start in (0, size):
        shorter = [number for number, one in enumerate(signatures) if one[start] == 0][:100]
        assert shorter
        assert all(key.public.verify(signatures[number], b"%d" % number) for number in shorter)
