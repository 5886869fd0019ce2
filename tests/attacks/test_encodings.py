"""Attacks on the text of a token: other spellings of the same bytes, and texts that two parsers read differently."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from forging import CLAIMS, forge, joined, secret, usual

import sealwright as sw
from sealwright.jose import base64url

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def other_spellings(data: bytes) -> Iterator[bytes]:
    """Texts that a lax decoder reads as ``data``, none of them the canonical one."""
    text = base64url.encode(data)
    yield from (text + b"=", text + b"==", text + b"===", text + b"=" * (-len(text) % 4 or 4))
    yield from (text + b"\n", text + b"\r\n", b" " + text, text[:4] + b" " + text[4:], text[:5] + b"\n" + text[5:])
    yield from (text[:4] + junk + text[4:] for junk in (b"?", b"!", b"%", b"\x00", b",", b"*", b"\xc3\xa9", b"\xff"))
    yield from (text + b"%3D", text + b"\x00")
    if len(text) % 4 == 0:
        yield text + b"A"
    else:
        for bit in (1, 2) if len(text) % 4 == 3 else (1, 2, 4, 8):
            yield text[:-1] + ALPHABET[ALPHABET.index(text[-1:]) ^ bit :][:1]
    standard = base64.b64encode(data).rstrip(b"=")
    if standard != text:
        yield standard


@pytest.mark.parametrize("segment", ["header", "payload", "signature"])
@pytest.mark.attack(14)
def test_other_spellings_of_a_segment(segment: str, doors: Any) -> None:
    """The MAC is made over the other spelling, so that nothing but the spelling can be what is refused."""
    header = json.dumps({"alg": "HS256", "kid": "k1", "x": "~~~???>>>"}).encode()
    claims = json.dumps({**CLAIMS, "x": "~~~???>>>."}).encode()
    head, body, mac = joined(base64url.encode(header), base64url.encode(claims)).encode().split(b".")
    spelled = {"header": header, "payload": claims, "signature": base64url.decode(mac)}[segment]
    for text in other_spellings(spelled):
        token = (
            joined_bytes(text, body) if segment == "header"
            else joined_bytes(head, text) if segment == "payload"
            else b".".join((head, body, text))
        )  # fmt: skip
        for written in (token, token.decode("latin-1")):
            with pytest.raises(sw.RejectedError) as caught:
                sw.verify_signature(written, secret())
            assert caught.value.reason == "token.encoding", text
    if text.isascii():
        assert doors.everywhere(token.decode(), secret()) == "token.encoding"


def joined_bytes(head: bytes, body: bytes) -> bytes:
    signing_input = head + b"." + body
    return signing_input + b"." + base64url.encode(secret().sign(signing_input))


@pytest.mark.attack(14)
def test_no_two_texts_are_the_same_token(signers: Any, doors: Any) -> None:
    """A list of withdrawn tokens that is keyed by their text cannot be passed by writing one differently."""
    token = forge({"alg": "ES256", "kid": "k1"}, sign=signers["ES256"].sign)
    assert len(token.rpartition(".")[2]) == 86  # two characters that carry four unused bits
    last = ALPHABET.index(token[-1].encode())
    twins = [token[:-1] + chr(ALPHABET[last & ~15 | low]) for low in range(1, 16)]
    for twin in [*twins, token + "=", token + "==", f" {token}", f"{token} ", f"{token}\n", f"\ufeff{token}"]:
        assert doors.everywhere(twin, signers["ES256"].public) == "token.encoding"


@pytest.mark.parametrize("alg", ["RS256", "ES256", "Ed25519", "ML-DSA-44"])
@pytest.mark.attack(14)
def test_other_spellings_of_the_members_of_a_key(alg: str, signers: Any, imports: Any) -> None:
    members = signers[alg].public.to_dict()
    name = {"RS256": "n", "ES256": "x", "Ed25519": "x", "ML-DSA-44": "pub"}[alg]
    data = base64url.decode_text(members[name])
    for text in list(other_spellings(data))[::6]:
        assert imports.public({**members, name: text.decode("latin-1")}) == "key.malformed", text
    for text in other_spellings(secret()._secret):
        with pytest.raises(sw.RejectedError) as caught:
            secret(k=text.decode("latin-1"))
        assert caught.value.reason == "key.malformed"


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.attack(14)
def test_a_coordinate_with_a_zero_in_front(name: str, signers: Any, imports: Any) -> None:
    """The same point under a second thumbprint: RFC 7518 §6.2.1.2 fixes the length."""
    members = signers["ES256"].public.to_dict()
    longer = base64url.encode_text(b"\x00" + base64url.decode_text(members[name]))
    assert imports.public({**members, name: longer}) == "key.malformed"


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["https://example.com/ext"], "https://example.com/ext": True},
        {"crit": ["b64"]},
        {"crit": ["b64", "b64"], "b64": True},
        {"crit": ["b64", "ext"], "b64": True, "ext": 1},
        {"crit": ["kid"]},
        {"crit": ["alg"]},
        {"crit": ["crit"]},
        {"crit": []},
        {"crit": None},
        {"crit": ""},
        {"crit": "b64", "b64": True},
        {"crit": {"b64": True}, "b64": True},
        {"crit": [["b64"]], "b64": True},
        {"crit": [None]},
        {"crit": False},
    ],
)
@pytest.mark.attack(7)
def test_a_critical_extension_that_is_not_understood_or_badly_listed(header: Any, signers: Any, doors: Any) -> None:
    assert doors.everywhere(forge({"alg": "HS256", "kid": "k1", **header}), secret()) == "header.critical"
    token = forge({"alg": "ES256", "kid": "k1", **header}, sign=signers["ES256"].sign)
    assert doors.everywhere(token, signers["ES256"].public) == "header.critical"


@pytest.mark.attack(10)
def test_a_token_that_is_json_for_one_parser_and_compact_for_another(doors: Any) -> None:
    """The shape of CVE-2022-39227: a valid compact token spread over the members of a JSON text."""
    good = forge({"alg": "HS256", "kid": "k1"})
    head, body, signature = good.split(".")
    forged = base64url.encode_text(json.dumps({**CLAIMS, "sub": "admin"}).encode())
    polyglots = [
        f'{{"  {head}.{forged}.":"","protected":"{head}","payload":"{body}","signature":"{signature}"}}',
        f'{{"protected":"{head}","payload":"{body}","signature":"{signature}","x":"a.b"}}',
        f'{{"a.":"{head}.{forged}","protected":"{head}"}}',
        f"{head}.{body}.{signature}{{}}",
        f"{head}.{body}.{signature}~",
        f"{head}.{body}.{signature}\n{good[:4]}",
    ]
    for token in polyglots:
        assert doors.everywhere(token, secret()) in ("token.encoding", "token.malformed")


@pytest.mark.parametrize("form", ["general", "flattened", "flattened with an empty payload"])
@pytest.mark.attack(10)
def test_the_json_serialization_where_a_compact_token_is_expected(form: str, doors: Any) -> None:
    head, body, signature = forge({"alg": "HS256", "kid": "k1"}).split(".")
    one = {"protected": head, "signature": signature}
    token = {"payload": body, "signatures": [one]} if form == "general" else {"payload": body, **one}
    if "empty" in form:
        token["payload"] = ""
    assert doors.everywhere(json.dumps(token), secret()) == "token.malformed"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"alg":"none","alg":"HS256"}', "json.duplicate_name"),
        (b'{"alg":"HS256","\\u0061lg":"none"}', "json.duplicate_name"),
        ('{"alg":"HS256"}'.encode("utf-16"), "json.malformed"),
        ('{"alg":"HS256"}'.encode("utf-32-be"), "json.malformed"),
        (b'\xef\xbb\xbf{"alg":"HS256"}', "json.malformed"),
        (b'{"alg":"HS256","x":NaN}', "json.malformed"),
        (b'{"alg":"HS256"}{"alg":"none"}', "json.malformed"),
        (b'{"alg":"HS256",}', "json.malformed"),
        (b'{"alg":"HS256","x":"\xff"}', "json.malformed"),
    ],
)
@pytest.mark.attack(10)
def test_a_header_that_two_parsers_read_differently(raw: bytes, reason: str, doors: Any) -> None:
    assert doors.everywhere(forge(raw), secret()) == reason


@pytest.mark.attack(10)
def test_claims_that_two_parsers_read_differently(doors: Any) -> None:
    twice = usual(None).replace(b'"sub": "u"', b'"sub": "u", "sub": "admin"')
    assert twice.count(b'"sub"') == 2
    token = forge({"alg": "HS256", "kid": "k1"}, payload=twice)
    assert doors.verifier(token, secret()) == "json.duplicate_name"
    with pytest.raises(sw.RejectedError) as caught:
        sw.verify_signature(token, secret()).json()
    assert caught.value.reason == "json.duplicate_name"
