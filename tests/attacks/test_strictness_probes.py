"""The probes with which libraries are compared: hand-made HS256 tokens, each refused by the rule that it probes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from forging import CLAIMS, NOW, forge, joined, secret, without

import sealwright as sw
from sealwright.jose import base64url
from sealwright.jose.json_forms import sign_flattened
from sealwright.jose.multi_verification import decide_signatures, verify_signatures
from sealwright.jose.signature_policy import ANY_SIGNATURE, EVERY_SIGNATURE

HEADER = {"alg": "HS256", "kid": "k1"}


def flipped(token: str) -> str:
    """The same bytes for a lax decoder: 43 characters carry 258 bits, two of them unused."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def raw_mac(header: dict[str, Any], payload: bytes) -> str:
    """b64=false as RFC 7797 has it: the MAC is made over the payload as it is."""
    return joined(base64url.encode(json.dumps(header).encode()), payload)


OK = forge(HEADER)
PROBES = {
    "ok compact": (OK, None, None),
    "crit unknown ext": (forge({**HEADER, "crit": ["ext"], "ext": 1}), "header.critical", "header.critical"),
    "crit missing member": (forge({**HEADER, "crit": ["b64"]}), "header.critical", "header.critical"),
    "crit is string": (forge({**HEADER, "crit": "b64", "b64": True}), "header.critical", "header.critical"),
    "crit empty list": (forge({**HEADER, "crit": []}), "header.critical", "header.critical"),
    "crit names registered hdr": (forge({**HEADER, "crit": ["kid"]}), "header.critical", "header.critical"),
    "crit dup b64": (forge({**HEADER, "crit": ["b64", "b64"], "b64": True}), "header.critical", "header.critical"),
    "b64=false no crit, MAC over base64url": (forge({**HEADER, "b64": False}), "header.critical", "header.critical"),
    "b64=false no crit, MAC over raw": (
        raw_mac({**HEADER, "b64": False}, b"eyJhYmMiOiIxIn0"),
        "header.critical",
        "header.critical",
    ),
    'b64="false"': (forge({**HEADER, "b64": "false", "crit": ["b64"]}), "header.critical", "header.critical"),
    "b64=0": (forge({**HEADER, "b64": 0, "crit": ["b64"]}), "header.critical", "header.critical"),
    "dup header member alg": (
        forge(b'{"alg":"none","alg":"HS256","kid":"k1"}'),
        "json.duplicate_name",
        "json.duplicate_name",
    ),
    "sig padded =": (f"{OK}=", "token.encoding", "token.encoding"),
    "sig trailing garbage bits": (flipped(OK), "token.encoding", "token.encoding"),
    "sig with newline": (f"{OK[:-9]}\n{OK[-9:]}", "token.encoding", "token.encoding"),
    "sig followed by newline": (f"{OK}\n", "token.encoding", "token.encoding"),
    "4 segments": (f"{OK}.e30", "token.malformed", "token.malformed"),
    "alg none": (forge({**HEADER, "alg": "none"}), "algorithm.key_mismatch", "algorithm.unknown"),
    "alg nOnE": (forge({**HEADER, "alg": "nOnE"}), "algorithm.key_mismatch", "algorithm.unknown"),
    "header NaN member": (forge(b'{"alg":"HS256","kid":"k1","x":NaN}'), "json.malformed", "json.malformed"),
    "header deep nested 5000": (
        forge(b'{"alg":"HS256","kid":"k1","x":' + b"[" * 5000 + b"]" * 5000 + b"}"),
        "json.too_deep",
        "json.too_deep",
    ),
    "2 MB payload": (forge(HEADER, payload=b" " * 2_000_000), "token.too_large", "token.too_large"),
}


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_of_the_signed_token(probe: str, doors: Any) -> None:
    token, by_signature, by_verifier = PROBES[probe]
    assert (doors.signature(token, secret()), doors.verifier(token, secret())) == (by_signature, by_verifier)


CLAIM_PROBES = {
    "no exp": ({"exp": None}, "claims.missing"),
    "exp 5s ago, leeway 10": ({"exp": NOW - 5}, None),
    "exp in 5s, leeway 10": ({"exp": NOW + 5}, None),
    "exp string": ({"exp": '"9999999999"'}, "claims.wrong_type"),
    "exp NaN": ({"exp": "NaN"}, "json.malformed"),
    "exp Infinity": ({"exp": "Infinity"}, "json.malformed"),
    "exp 1e400": ({"exp": "1e400"}, "json.malformed"),
    "exp true": ({"exp": "true"}, "claims.wrong_type"),
    "exp null": ({"exp": "null"}, "claims.wrong_type"),
    "exp float .5": ({"exp": f"{NOW + 9}.5"}, None),
    "exp negative": ({"exp": "-1"}, "claims.expired"),
    "nbf future": ({"nbf": NOW + 3600}, "claims.not_yet_valid"),
    "iat future": ({"iat": NOW + 3600}, "claims.issued_in_future"),
    "aud list match": ({"aud": '["billing","orders"]'}, None),
    "aud missing, expected": ({"aud": None}, "claims.audience"),
    "aud substring": ({"aud": '"order"'}, "claims.audience"),
    "aud superstring": ({"aud": '"orders2"'}, "claims.audience"),
    "aud nested list": ({"aud": '[["orders"]]'}, "claims.wrong_type"),
    "iss missing, expected": ({"iss": None}, "issuer.missing"),
    "iss mismatch": ({"iss": '"https://evil.example"'}, "issuer.unknown"),
    "dup claim sub": ({'sub":"a","sub': '"b"'}, "json.duplicate_name"),
    "payload not object": ({}, "json.malformed"),
    "header typ=at+jwt, no typ policy": ({"exp": NOW + 5}, None),
}


def payload_of(probe: str) -> bytes:
    """The usual claims as texts of JSON, some replaced by others, some left out."""
    if probe == "payload not object":
        return b'["sub","u"]'
    texts = {**{name: json.dumps(value) for name, value in CLAIMS.items()}, **CLAIM_PROBES[probe][0]}
    return ("{" + ",".join(f'"{name}":{text}' for name, text in texts.items() if text is not None) + "}").encode()


@pytest.mark.parametrize("probe", CLAIM_PROBES)
def test_a_probe_of_the_claims(probe: str, doors: Any) -> None:
    typed = {"typ": "at+jwt"} if "at+jwt" in probe else {}
    token = forge({**HEADER, **typed}, payload=payload_of(probe))
    assert doors.signature(token, secret()) is None  # a signature says nothing about claims
    assert doors.verifier(token, secret(), leeway_s=10.0) == CLAIM_PROBES[probe][1]


def test_a_probe_of_an_expiry_one_second_ago_without_leeway(doors: Any) -> None:
    payload = json.dumps({**CLAIMS, "exp": NOW - 1}).encode()
    assert doors.verifier(forge(HEADER, payload=payload), secret(), leeway_s=0.0) == "claims.expired"


def test_a_probe_of_an_audience_where_the_caller_expects_none(doors: Any) -> None:
    """Ours cannot forget to expect one: it is named, or ignored in so many words."""
    with pytest.raises(sw.ConfigurationError) as caught:
        sw.Verifier(issuer=CLAIMS["iss"], keys=secret())
    assert caught.value.reason == "settings.invalid"
    assert doors.verifier(OK, secret(), audience="billing") == "claims.audience"
    assert doors.verifier(OK, secret(), audience=sw.IGNORE_AUDIENCE) is None


KEY_PROBES = {
    "1-byte HMAC key": ({"kty": "oct", "alg": "HS256", "k": "AQ"}, "key.too_weak"),
    "RSA-1024": (
        {"kty": "RSA", "alg": "RS256", "e": "AQAB", "n": base64url.encode_text(b"\xff" * 128)},
        "key.too_weak",
    ),
    "JWK use=enc": ({"use": "enc"}, "key.unsuitable"),
    "JWK key_ops=[sign] for verify": ({"key_ops": ["sign"]}, "key.unsuitable"),
    "JWK use=sig + key_ops=[encrypt]": ({"use": "sig", "key_ops": ["encrypt"]}, "key.unsuitable"),
}


@pytest.mark.parametrize("probe", KEY_PROBES)
def test_a_probe_of_a_key(probe: str, signers: Any, imports: Any) -> None:
    members, reason = KEY_PROBES[probe]
    if members.get("kty") == "oct":
        with pytest.raises(sw.RejectedError) as caught:
            sw.SecretJWK.from_dict(members)
        assert caught.value.reason == reason
    else:
        base = {} if "kty" in members else without(signers["ES256"].public.to_dict(), "use")
        assert imports.public({**base, **members}) == reason


def test_a_probe_of_a_public_pem_as_an_hmac_secret(signers: Any) -> None:
    pem = signers["RS256"].public._native.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(sw.RejectedError) as caught:
        secret(k=base64url.encode_text(pem))
    assert caught.value.reason == "key.unsuitable"


def test_a_probe_of_a_key_for_another_algorithm_than_the_tokens(doors: Any) -> None:
    large = secret(alg="HS512", k=base64url.encode_text(bytes(64)))
    assert doors.signature(OK, large) == "algorithm.key_mismatch"
    assert doors.verifier(OK, large) == "algorithm.not_allowed"
    assert doors.verifier(OK, large, algorithms={"HS256", "HS512"}) == "algorithm.key_mismatch"


def json_of(token: str, **changes: Any) -> dict[str, Any]:
    head, body, signature = token.split(".")
    members = {"payload": body, "protected": head, "signature": signature, **changes}
    return {name: value for name, value in members.items() if value is not None}


def general_of(*tokens: str, **changes: Any) -> dict[str, Any]:
    signatures = [{name: value for name, value in json_of(token).items() if name != "payload"} for token in tokens]
    return {"payload": OK.split(".")[1], "signatures": signatures, **changes}


def unencoded(payload: str) -> dict[str, Any]:
    head = base64url.encode(json.dumps(UNENCODED).encode())
    mac = secret().sign(head + b"." + payload.encode())
    return {"payload": payload, "protected": head.decode(), "signature": base64url.encode_text(mac)}


UNENCODED = {**HEADER, "b64": False, "crit": ["b64"]}
BAD = forge(HEADER, sign=lambda _: bytes(32))
UNKNOWN = forge({**HEADER, "alg": "XX256"})
JSON_PROBES = {
    "ok flattened": (json_of(OK), None, None),
    "ok general 1sig": (general_of(OK), None, None),
    "general 1 good + 1 bad-sig": (general_of(OK, BAD), None, "signature.invalid"),
    "general bad first + good": (general_of(BAD, OK), None, "signature.invalid"),
    "general good + unknown alg": (general_of(OK, UNKNOWN), None, "algorithm.key_mismatch"),
    "general unknown alg first + good": (general_of(UNKNOWN, OK), None, "algorithm.key_mismatch"),
    "general empty signatures": (general_of(), "signatures.none", "signatures.none"),
    "mixed flattened+general": (
        {**general_of(BAD), **json_of(OK)},
        "signatures.mixed_forms",
        "signatures.mixed_forms",
    ),
    "mixed: good general + junk flattened": (
        general_of(OK, protected="junk", signature="junk"),
        "signatures.mixed_forms",
        "signatures.mixed_forms",
    ),
    "crit in unprotected hdr": (json_of(OK, header={"crit": ["ext"], "ext": 1}), "header.critical", "header.critical"),
    "alg only unprotected": (
        json_of(joined(b"", OK.split(".")[1].encode()), protected=None, header=HEADER),
        "header.malformed",
        "header.malformed",
    ),
    "hdr overlap prot/unprot kid": (json_of(OK, header={"kid": "k1"}), "header.repeated", "header.repeated"),
    "b64=false flattened attached": (unencoded('{"sub":"$.02"}'), None, None),
}


@pytest.mark.parametrize("probe", JSON_PROBES)
def test_a_probe_of_the_json_forms(probe: str) -> None:
    form, by_any, by_every = JSON_PROBES[probe]
    for policy, reason in ((ANY_SIGNATURE, by_any), (EVERY_SIGNATURE, by_every)):
        assert decide_signatures(json.dumps(form), secret(), policy=policy).reason == reason


@pytest.mark.parametrize("b64", [True, False])
def test_a_probe_of_detached_payloads(b64: bool) -> None:
    content = b'{"sub":"$.02"}'
    compact, flat = (make(content, secret(), detached=True, b64=b64) for make in (sw.sign, sign_flattened))
    assert sw.verify_signature(compact, secret(), payload=content).payload == content
    assert verify_signatures(flat, secret(), policy=ANY_SIGNATURE, payload=content).payload == content


def test_a_probe_of_an_attached_unencoded_payload_in_a_compact_token() -> None:
    """The raw bytes come out, never the decoded ones, and what is written here is read here."""
    raw = b"eyJhYmMiOiIxIn0"
    assert sw.verify_signature(raw_mac(UNENCODED, raw), secret()).payload == raw
    assert sw.verify_signature(sw.sign(raw, secret(), b64=False), secret()).payload == raw
