"""Attacks on tokens as JSON: missing, stripped and mixed signatures, members at the wrong place, unencoded payloads."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from forging import CLAIMS, forge, joined, secret, usual, with_signature

import sealwright as sw
from sealwright.jose import base64url, json_forms
from sealwright.jose.detached import verify_stream
from sealwright.jose.multi_verification import decide_signatures, verify_signatures
from sealwright.jose.signature_policy import ANY_SIGNATURE, EVERY_SIGNATURE, SignaturePolicy

HEADER = {"alg": "HS256", "kid": "k1"}
RAW = {**HEADER, "b64": False, "crit": ["b64"]}
URL_SAFE = b"eyJhYmMiOiIxIn0"


def flattened(token: str, **changes: Any) -> dict[str, Any]:
    head, body, signature = token.split(".")
    members = {"payload": body, "protected": head, "signature": signature, **changes}
    return {name: value for name, value in members.items() if value is not None}


def general(token: str, *signatures: Any) -> dict[str, Any]:
    return {"payload": token.split(".")[1], "signatures": list(signatures)}


def signature_of(token: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in flattened(token, **changes).items() if name != "payload"}


def verdict(form: Any, key: Any, *, policy: SignaturePolicy = ANY_SIGNATURE, payload: bytes | None = None) -> Any:
    """Why a JSON text is refused, None when it is not: raising and deciding, text and bytes, content and stream."""
    text = form if isinstance(form, str) else json.dumps(form)
    report = decide_signatures(text, key, policy=policy, payload=payload)
    reasons = {report.reason, decide_signatures(text.encode(), key, policy=policy, payload=payload).reason}
    if payload is not None:
        reasons.add(decide_signatures(text, key, policy=policy, payload=io.BytesIO(payload)).reason)
    try:
        verify_signatures(text, key, policy=policy, payload=payload)
        reasons.add(None)
    except sw.RejectedError as error:
        reasons.add(error.reason)
    assert len(reasons) == 1, reasons
    assert report.satisfied == (report.reason is None)
    assert report.satisfied or report.payload is None
    return report.reason


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"payload": "e30", "signatures": []}, "signatures.none"),
        ({"payload": "e30"}, "signatures.none"),
        ({"payload": "e30", "protected": "e30"}, "signatures.none"),
        ({"signatures": []}, "signatures.none"),
        ({}, "signatures.none"),
        ({"payload": "e30", "signatures": None}, "signatures.malformed"),
        ({"payload": "e30", "signatures": {}}, "signatures.malformed"),
        ({"payload": "e30", "signatures": ""}, "signatures.malformed"),
        ({"payload": "e30", "signatures": [None]}, "signatures.malformed"),
        ({"payload": "e30", "signatures": [[]]}, "signatures.malformed"),
        ({"payload": "e30", "signatures": [{}]}, "signatures.malformed"),
        ({"payload": "e30", "signature": None}, "signatures.malformed"),
        ({"payload": "e30", "signature": ["AA"]}, "signatures.malformed"),
        ({"payload": 7, "signature": "AA"}, "signatures.malformed"),
    ],
)
@pytest.mark.parametrize("policy", [ANY_SIGNATURE, EVERY_SIGNATURE, SignaturePolicy(signers=["k1"])])
@pytest.mark.attack(8)
def test_no_signature_at_all(form: Any, reason: str, policy: SignaturePolicy) -> None:
    assert verdict(form, secret(), policy=policy) == reason


@pytest.mark.parametrize("wrong", [{"at_least": 0}, {"at_least": -1}, {"signers": "k1"}])
@pytest.mark.attack(8)
def test_a_policy_that_no_signature_satisfies_too(wrong: dict[str, Any]) -> None:
    with pytest.raises(sw.ConfigurationError) as caught:
        SignaturePolicy(**wrong)
    assert caught.value.reason == "settings.invalid"


@pytest.mark.attack(8)
def test_empty_signatures_and_a_list_without_end() -> None:
    token = forge(HEADER)
    assert verdict(flattened(with_signature(token, b"")), secret()) == "signature.invalid"
    many = general(token, *[signature_of(token)] * 33)
    assert verdict(many, secret()) == "signatures.too_many"


@pytest.mark.parametrize("name", ["alg", "kid"])
@pytest.mark.attack(9)
def test_an_unprotected_member_that_overrides_a_protected_one(name: str) -> None:
    token = forge(HEADER)
    for value in (HEADER[name], "none"):
        assert verdict(flattened(token, header={name: value}), secret()) == "header.repeated"
        assert verdict(general(token, signature_of(token, header={name: value})), secret()) == "header.repeated"


@pytest.mark.parametrize("protected", [None, "", "e30"])
@pytest.mark.attack(9)
def test_an_algorithm_that_is_not_protected(protected: str | None) -> None:
    head = (protected or "").encode()
    token = joined(head, base64url.encode(usual(None)))
    assert verdict(flattened(token, protected=protected, header=HEADER), secret()) == "header.malformed"


@pytest.mark.parametrize(
    "unprotected",
    [{"crit": ["b64"], "b64": False}, {"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False}, {"b64": True}],
)
@pytest.mark.attack(7)
def test_an_unprotected_critical_list(unprotected: dict[str, Any]) -> None:
    assert verdict(flattened(forge(HEADER), header=unprotected), secret()) == "header.critical"


@pytest.mark.parametrize("unprotected", [None, 7, "kid", [], {"kid": 7}, {"kid": None}])
@pytest.mark.attack(9)
def test_an_unprotected_header_that_is_none(unprotected: Any) -> None:
    form = {**flattened(forge(HEADER)), "header": unprotected}
    assert verdict(form, secret()) == "header.malformed"


@pytest.mark.attack(5)
def test_a_key_that_the_unprotected_header_brings_along(signers: Any, impostor: Any) -> None:
    token = forge({"alg": "ES256"}, sign=impostor.sign)
    for brought in ({"jwk": impostor.public.to_dict()}, {"kid": "k1"}, {"jku": "https://evil.example"}):
        assert verdict(flattened(token, header=brought), signers["ES256"].public) == "signature.invalid"
    assert verdict(flattened(token, header={"kid": "k2"}), signers["ES256"].public) == "key.not_found"


@pytest.mark.attack(10)
def test_a_text_that_is_general_and_flattened_or_compact_and_json() -> None:
    good, bad = forge(HEADER), with_signature(forge(HEADER), bytes(32))
    mixed = [
        {**flattened(good), "signatures": [signature_of(bad)]},
        {**flattened(bad), "signatures": [signature_of(good)]},
        {**general(good, signature_of(good)), "signature": ""},
        {**general(good, signature_of(good)), "protected": "e30"},
        {**general(good, signature_of(good)), "header": {"kid": "k1"}},
        {**flattened(good), "signatures": []},
    ]
    for form in mixed:
        assert verdict(form, secret()) == "signatures.mixed_forms"
    assert verdict(good, secret()) == "json.malformed"  # a compact token is not JSON
    assert verdict(f"[{json.dumps(flattened(good))}]", secret()) == "json.malformed"
    assert verdict(f"{json.dumps(flattened(good))}{good}", secret()) == "json.malformed"


@pytest.mark.parametrize("name", ["payload", "protected", "signature", "signatures"])
@pytest.mark.attack(10)
def test_a_member_that_is_there_twice(name: str) -> None:
    token = forge(HEADER)
    form = general(token, signature_of(token)) if name == "signatures" else flattened(token)
    other = base64url.encode_text(json.dumps({**CLAIMS, "sub": "admin"}).encode())
    for value in (form[name], other):
        text = json.dumps(form)[:-1] + f',"{name}":{json.dumps(value)}' + "}"
        assert verdict(text, secret()) == "json.duplicate_name"


@pytest.mark.attack(10)
def test_a_polyglot_gives_only_what_was_signed() -> None:
    """The JSON half of CVE-2022-39227: members that are not of the form change nothing of what is read."""
    token = forge(HEADER)
    forged = base64url.encode_text(json.dumps({**CLAIMS, "sub": "admin"}).encode())
    text = json.dumps({f"  {token.split('.')[0]}.{forged}.": "", **flattened(token)})
    assert verify_signatures(text, secret(), policy=ANY_SIGNATURE).payload == usual(None)
    with pytest.raises(sw.RejectedError) as caught:
        sw.verify_signature(text, secret())
    assert caught.value.reason in ("token.malformed", "token.encoding")


@pytest.mark.parametrize("value", ["false", "true", 0, 1, None, [], {}, [False]])
@pytest.mark.attack(15)
def test_a_b64_that_is_no_boolean(value: Any, doors: Any) -> None:
    header = {**HEADER, "b64": value, "crit": ["b64"]}
    for token in (forge(header), joined(base64url.encode(json.dumps(header).encode()), URL_SAFE)):
        assert doors.everywhere(token, secret()) == "header.critical"


@pytest.mark.attack(15)
def test_an_unencoded_payload_that_is_not_marked_critical(doors: Any) -> None:
    for header in ({**HEADER, "b64": False}, {**HEADER, "b64": True}):
        for token in (forge(header), joined(base64url.encode(json.dumps(header).encode()), URL_SAFE)):
            assert doors.everywhere(token, secret()) == "header.critical"


@pytest.mark.attack(15)
def test_an_unencoded_payload_read_as_an_encoded_one(doors: Any) -> None:
    """The bytes that were signed are what comes out, and never what they would be if they were decoded."""
    raw = joined(base64url.encode(json.dumps(RAW).encode()), URL_SAFE)
    assert sw.verify_signature(raw, secret()).payload == URL_SAFE
    assert verify_signatures(json.dumps(flattened(raw)), secret(), policy=ANY_SIGNATURE).payload == URL_SAFE
    assert doors.verifier(raw, secret()) == "header.critical"  # claims are always encoded (RFC 7797 §7)
    head = base64url.encode(json.dumps(RAW).encode())
    encoded = joined(head, base64url.encode(usual(None)))
    assert doors.verifier(encoded, secret()) == "header.critical"
    swapped = with_signature(raw, secret().sign(head + b"." + base64url.encode(URL_SAFE)))
    assert verdict(flattened(swapped), secret()) == "signature.invalid"


@pytest.mark.parametrize("payload", ["$.02", "a\nb", "a\x00b", "caf\u00e9"])
@pytest.mark.attack(15)
def test_an_unencoded_payload_that_would_be_cut_elsewhere_in_a_compact_token(payload: str) -> None:
    head = base64url.encode(json.dumps(RAW).encode())
    token = joined(head, payload.encode())
    with pytest.raises(sw.RejectedError) as caught:
        sw.verify_signature(token.encode(), secret())
    assert caught.value.reason == ("token.malformed" if "." in payload else "payload.characters")
    with pytest.raises(sw.RejectedError) as caught:
        sw.sign(payload.encode(), secret(), b64=False)
    assert caught.value.reason == "payload.characters"
    form = {"payload": payload, "protected": head.decode(), "signature": token.rpartition(".")[2]}
    assert verdict(form, secret()) is None
    assert verify_signatures(json.dumps(form), secret(), policy=ANY_SIGNATURE).payload == payload.encode()


@pytest.mark.attack(15)
def test_an_unencoded_payload_that_passes_by_the_size_limit(doors: Any) -> None:
    head = base64url.encode(json.dumps(RAW).encode())
    for filler in (b"A", b"\xc3\xa9"):
        token = joined(head, filler * 1_100_000)
        with pytest.raises(sw.RejectedError) as caught:
            sw.verify_signature(token.encode(), secret())
        assert caught.value.reason == "token.too_large"
        form = {"payload": (filler * 1_100_000).decode(), "protected": head.decode(), "signature": "AA"}
        assert verdict(form, secret()) == "token.too_large"


@pytest.mark.attack(15)
def test_signatures_that_do_not_agree_about_the_encoding() -> None:
    plain = forge(HEADER, payload=URL_SAFE)
    raw = joined(base64url.encode(json.dumps(RAW).encode()), base64url.encode(URL_SAFE))
    for pair in ((plain, raw), (raw, plain)):
        form = general(plain, *(signature_of(token) for token in pair))
        assert verdict(form, secret()) == "signatures.mixed_encoding"


@pytest.mark.parametrize("b64", [True, False])
@pytest.mark.attack(15)
def test_a_payload_that_is_given_twice_or_not_at_all(b64: bool) -> None:
    attached = sw.sign(URL_SAFE, secret(), b64=b64)
    for given in (URL_SAFE, b"", b"another"):
        with pytest.raises(sw.RejectedError) as caught:
            sw.verify_signature(attached, secret(), payload=given)
        assert caught.value.reason == "payload.given_twice"
        with pytest.raises(sw.RejectedError) as caught:
            verify_stream(attached, io.BytesIO(given), secret())
        assert caught.value.reason == "payload.given_twice"
        assert verdict(flattened(attached), secret(), payload=given) == "payload.given_twice"
    detached = sw.sign(URL_SAFE, secret(), b64=b64, detached=True)
    assert verdict(flattened(detached, payload=None), secret()) == "payload.missing"
    for other in (b"", URL_SAFE[:-1], base64url.encode(URL_SAFE), base64url.decode(URL_SAFE)):
        with pytest.raises(sw.RejectedError) as caught:
            sw.verify_signature(detached, secret(), payload=other)
        assert caught.value.reason == "signature.invalid"
        assert verdict(flattened(detached, payload=None), secret(), payload=other) == "signature.invalid"


@pytest.fixture(scope="module")
def two() -> tuple[sw.PrivateJWK, sw.PrivateJWK]:
    return sw.PrivateJWK.generate("ES256", key_id="classical"), sw.PrivateJWK.generate("ML-DSA-44", key_id="quantum")


@pytest.mark.attack(29)
def test_a_bad_signature_beside_a_good_one_in_either_order(two: Any) -> None:
    keys = sw.JWKSet([key.public for key in two])
    form = json.loads(json_forms.sign_general(b"{}", two))
    good, other = form["signatures"]
    spoiled = [
        ({**other, "signature": base64url.encode_text(bytes(2420))}, "signature.invalid"),
        ({**other, "protected": base64url.encode_text(b'{"alg":"XX256","kid":"quantum"}')}, "algorithm.key_mismatch"),
        ({**other, "protected": base64url.encode_text(b'{"alg":"ML-DSA-44","kid":"nobody"}')}, "key.not_found"),
        ({**other, "protected": "!!"}, "token.encoding"),
        ("text", "signatures.malformed"),
    ]
    for bad, reason in spoiled:
        for order in ([good, bad], [bad, good]):
            text = {**form, "signatures": order}
            report = decide_signatures(json.dumps(text), keys, policy=ANY_SIGNATURE)
            assert [one.reason for one in report.results] == [None if one is good else reason for one in order]
            assert [one.key_id for one in report.results if one.verified] == ["classical"]
            assert verdict(text, keys) is None
            assert verdict(text, keys, policy=EVERY_SIGNATURE) == reason
            assert verdict(text, keys, policy=SignaturePolicy(signers=["quantum"])) == "signatures.signer_missing"


@pytest.mark.attack(29)
def test_a_signature_that_was_stripped(two: Any) -> None:
    """What is left verifies in full: only a policy that names signers, or counts them, notices."""
    keys = sw.JWKSet([key.public for key in two])
    form = json.loads(json_forms.sign_general(b"{}", two))
    for kept, name in zip(form["signatures"], ("classical", "quantum"), strict=True):
        stripped = {**form, "signatures": [kept]}
        assert verdict(stripped, keys, policy=EVERY_SIGNATURE) is None
        both = SignaturePolicy(signers=["classical", "quantum"])
        assert verdict(stripped, keys, policy=both) == "signatures.signer_missing"
        assert verdict(stripped, keys, policy=SignaturePolicy(signers=[name])) is None
        assert verdict(stripped, keys, policy=SignaturePolicy(at_least=2)) == "signatures.too_few"
        assert verdict(stripped, keys, policy=SignaturePolicy(hybrid=True)) == "signatures.signer_missing"
        assert verdict(form, keys, policy=both) is None


@pytest.mark.attack(29)
def test_one_signer_counted_twice(two: Any) -> None:
    """The same signature again, the same key under another name, and the same RSA key with another algorithm."""
    key = two[0]
    keys = sw.JWKSet([key.public, sw.PublicJWK.from_dict({**key.public.to_dict(), "kid": "alias"})])
    alias = sw.PrivateJWK.from_dict({**key.export_private_dict(), "kid": "alias"})
    rsa = sw.PrivateJWK.generate("RS256", key_id="r1")
    pss = sw.PrivateJWK.from_dict({**rsa.export_private_dict(), "alg": "PS256", "kid": "r2"})
    for signers, known in (((key, key), keys), ((key, alias), keys), ((rsa, pss), sw.JWKSet([rsa.public, pss.public]))):
        form = json.loads(json_forms.sign_general(b"{}", signers))
        assert verdict(form, known, policy=SignaturePolicy(at_least=2)) == "signatures.too_few"
        report = decide_signatures(json.dumps(form), known, policy=ANY_SIGNATURE)
        assert [one.reason for one in report.results] == [None, "signatures.same_signer"]


@pytest.mark.attack(29)
def test_the_report_says_whose_signature_held_and_not_who_was_named(two: Any) -> None:
    keys = sw.JWKSet([key.public for key in two])
    form = json.loads(json_forms.sign_general(b"{}", two))
    first, second = form["signatures"]
    swapped = {**form, "signatures": [{**first, "signature": second["signature"]}, second]}
    report = decide_signatures(json.dumps(swapped), keys, policy=ANY_SIGNATURE)
    assert [(one.key_id, one.verified) for one in report.results] == [("classical", False), ("quantum", True)]
    moved = {**form, "payload": base64url.encode_text(b'{"a":1}')}
    assert verdict(moved, keys) == "signatures.too_few"
    assert verdict(moved, keys, policy=EVERY_SIGNATURE) == "signature.invalid"
