"""Every form there and back, and what the JSON forms keep, add and refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sealwright as sw
from sealwright.jose import base64url
from sealwright.jose.algorithms import ALGORITHMS

FORMS = ("compact", "flattened", "general")
OPTIONS = [{"b64": b64, "detached": detached} for b64 in (True, False) for detached in (False, True)]
TEXT = b"$02 and more"  # may stand in every form as it is


def write(form: str, content: bytes, signer: Any, **options: Any) -> str:
    if form == "compact":
        return sw.sign(content, signer, **options)
    return (
        sw.sign_flattened(content, signer, **options)
        if form == "flattened"
        else sw.sign_general(content, [signer], **options)
    )


def read(text: str, key: Any, payload: bytes | None = None) -> bytes | None:
    if text.startswith("{"):
        return sw.verify_signatures(text, key, policy=sw.EVERY_SIGNATURE, payload=payload).payload
    return sw.verify_signature(text, key, payload=payload).payload


def public(signer: Any) -> Any:
    return signer.public if isinstance(signer, sw.PrivateJWK) else signer


def fits(form: str, content: bytes) -> bool:
    """Whether content can stand unencoded in a form (RFC 7797 §5)."""
    if form == "compact":
        return all(0x20 <= byte < 0x7F and byte != 0x2E for byte in content)
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.fixture(scope="module")
def three() -> list[Any]:
    return [sw.PrivateJWK.generate(alg, key_id=alg) for alg in ("Ed25519", "ES256", "ML-DSA-44")]


@pytest.fixture(scope="module")
def keys(three: Any) -> sw.JWKSet:
    return sw.JWKSet([key.public for key in three])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("alg", list(ALGORITHMS))
def test_every_form_there_and_back(alg: str, form: str, options: Any, signers: Any, refused: Any) -> None:
    key = public(signers[alg])
    text = write(form, TEXT, signers[alg], **options, typ="note+jws")
    given_again = TEXT if options["detached"] else None
    assert read(text, key, given_again) == TEXT
    if options["detached"]:
        assert base64url.encode_text(TEXT) not in text
        assert TEXT.decode() not in text
        refused("signature.invalid", read, text, key, TEXT + b" ")


@given(content=st.binary(max_size=300) | st.text().map(str.encode), form=st.sampled_from(FORMS))
def test_any_content_comes_back_as_it_was_or_is_refused_before_it_is_signed(
    content: bytes, form: str, signers: Any
) -> None:
    secret = signers["HS256"]
    assert read(write(form, content, secret), secret) == content
    for b64 in (True, False):
        assert read(write(form, content, secret, b64=b64, detached=True), secret, content) == content
    if fits(form, content):
        assert read(write(form, content, secret, b64=False), secret) == content
    else:
        with pytest.raises(sw.RejectedError) as caught:
            write(form, content, secret, b64=False)
        assert caught.value.reason == "payload.characters"


@given(content=st.binary(max_size=60), b64=st.booleans())
def test_one_signature_moves_between_the_forms(content: bytes, b64: bool, signers: Any) -> None:
    secret = signers["HS256"]
    protected, _, signature = sw.sign(content, secret, b64=b64, detached=True).split(".")
    flattened = {"protected": protected, "signature": signature}
    assert json.loads(sw.sign_flattened(content, secret, b64=b64, detached=True)) == flattened
    assert json.loads(sw.sign_general(content, [secret], b64=b64, detached=True)) == {"signatures": [flattened]}


@given(order=st.permutations([0, 1, 2]), options=st.sampled_from(OPTIONS), flat=st.booleans())
def test_an_added_signature_leaves_the_others_byte_for_byte(
    order: list[int], options: Any, flat: bool, three: Any, keys: sw.JWKSet
) -> None:
    start, *more = (three[index] for index in order)
    first = (
        sw.sign_flattened(TEXT, start, unprotected={"note": "\u00e9"}, **options)
        if flat
        else (sw.sign_general(TEXT, [start], **options))
    )
    text = json.dumps({**json.loads(first), "kept": {"by": [1.50]}})
    content = TEXT if options["detached"] else None
    for signer in more:
        before = json.loads(text)
        listed = before.get("signatures") or [{n: before[n] for n in ("protected", "header", "signature")}]
        text = sw.add_signature(text, signer, payload=content)
        after = json.loads(text)
        assert after["signatures"][:-1] == listed
        assert all(one["signature"] in text and one["protected"] in text for one in listed)
        assert ("payload" in after) is not options["detached"]
        assert after.get("payload") == before.get("payload")
        assert after["kept"] == {"by": [1.5]}
    both = sw.SignaturePolicy(every=True, at_least=3)
    assert sw.verify_signatures(text, keys, policy=both, payload=content).payload == TEXT


def test_adding_asks_for_detached_content_and_for_no_other(three: Any, refused: Any) -> None:
    attached, detached = (sw.sign_flattened(TEXT, three[0], detached=one) for one in (False, True))
    refused("payload.missing", sw.add_signature, detached, three[1])
    refused("payload.given_twice", sw.add_signature, attached, three[1], payload=TEXT)


def test_a_signature_added_over_other_content_takes_no_one_in(three: Any, keys: sw.JWKSet) -> None:
    text = sw.add_signature(sw.sign_flattened(TEXT, three[0], detached=True), three[1], payload=b"other")
    for content, holds in ((TEXT, [True, False]), (b"other", [False, True])):
        report = sw.decide_signatures(text, keys, policy=sw.SignaturePolicy(at_least=2), payload=content)
        assert [one.verified for one in report.results] == holds
        assert report.reason == "signatures.too_few"


def test_from_one_to_thirty_two_signatures(secret: sw.SecretJWK, refused: Any) -> None:
    refused("signatures.none", sw.sign_general, TEXT, [])
    refused("signatures.too_many", sw.sign_general, TEXT, [secret] * 33)
    full = sw.sign_general(TEXT, [secret] * 32)
    assert read(full, secret) == TEXT
    refused("signatures.too_many", sw.add_signature, full, secret)
    form = json.loads(full)
    for signatures, reason in (([], "signatures.none"), ([*form["signatures"], {}], "signatures.too_many")):
        refused(reason, read, json.dumps({**form, "signatures": signatures}), secret)


def test_general_and_flattened_members_do_not_mix(secret: sw.SecretJWK, refused: Any) -> None:
    flattened, general = (json.loads(write(form, TEXT, secret)) for form in FORMS[1:])
    for name in ("protected", "signature"):
        refused("signatures.mixed_forms", read, json.dumps({**general, name: flattened[name]}), secret)
    refused("signatures.mixed_forms", read, json.dumps({**general, "header": {}}), secret)
    refused("signatures.mixed_forms", sw.add_signature, json.dumps({**general, **flattened}), secret)


def test_all_signatures_agree_about_the_encoding_of_the_content(three: Any, keys: sw.JWKSet, refused: Any) -> None:
    encoded, raw = (json.loads(sw.sign_general(TEXT, [three[0]], b64=b64)) for b64 in (True, False))
    for form, other in ((encoded, raw), (raw, encoded)):
        text = json.dumps({**form, "signatures": [*form["signatures"], *other["signatures"]]})
        refused("signatures.mixed_encoding", read, text, keys)
        refused("signatures.mixed_encoding", sw.add_signature, text, three[1])
    added = json.loads(sw.add_signature(json.dumps(raw), three[1]))  # takes the encoding that is there
    assert read(json.dumps(added), keys) == TEXT


@pytest.mark.parametrize(
    ("unprotected", "reason"),
    [
        ({"alg": "HS256"}, "header.repeated"),
        ({"typ": "note+jws"}, "header.repeated"),
        ({"crit": ["b64"]}, "header.critical"),
        ({"b64": False}, "header.critical"),
        ({"kid": 7}, "header.malformed"),
    ],
)
def test_an_unprotected_header_repeats_nothing_and_holds_nothing_critical(
    unprotected: dict[str, Any], reason: str, secret: sw.SecretJWK, refused: Any
) -> None:
    refused(reason, sw.sign_flattened, TEXT, secret, typ="note+jws", unprotected=unprotected)
    form = json.loads(sw.sign_flattened(TEXT, secret, typ="note+jws"))
    refused(reason, read, json.dumps({**form, "header": unprotected}), secret)


def test_an_unprotected_kid_finds_a_key_and_proves_nothing(forge: Any, secret: sw.SecretJWK, keys: sw.JWKSet) -> None:
    protected, payload, signature = forge({"alg": "HS256"}).split(".")
    form = {"payload": payload, "protected": protected, "signature": signature, "header": {"kid": "ES256"}}
    assert read(json.dumps(form), secret) == b'{"sub":"u"}'
    report = sw.decide_signatures(json.dumps(form), keys, policy=sw.ANY_SIGNATURE)
    assert (report.reason, report.payload) == ("algorithm.key_mismatch", None)
