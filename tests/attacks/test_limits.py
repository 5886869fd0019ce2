"""Attacks by size, depth, weak numbers and types: what costs much, and what passes for a value that it is not."""

from __future__ import annotations

import json
import math
import traceback
from typing import Any

import pytest
from forging import AUDIENCE, CLAIMS, ISSUER, NOW, forge, secret, usual

import sealwright as sw
from sealwright.jose import base64url, compact


def rsa_members(modulus: int, exponent: int = 65537) -> dict[str, str]:
    n, e = (number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (modulus, exponent))
    return {"kty": "RSA", "alg": "RS256", "kid": "weak", "n": base64url.encode_text(n), "e": base64url.encode_text(e)}


def roca_modulus() -> int:
    """Vulnerable primes are a power of 65537 modulo a product of small primes, and so are their products."""
    product = math.prod(p for p in range(2, 168) if all(p % q for q in range(2, p)))
    return pow(65537, 1234567, product) + product * (2**2047 // product + 4)


@pytest.mark.parametrize(
    "members",
    [
        rsa_members(2**511 + 9),
        rsa_members(2**1023 + 9),
        rsa_members(2**2046 + 9),
        rsa_members(2**2047 + 9, 1),
        rsa_members(2**2047 + 9, 2),
        rsa_members(2**2047 + 9, 65536),
        rsa_members(2**2047 + 9, 2**33 + 1),
        rsa_members(roca_modulus()),
    ],
    ids=["512 bits", "1024 bits", "2047 bits", "e=1", "e=2", "e even", "e above 32 bits", "ROCA"],
)
@pytest.mark.attack(13)
def test_weak_rsa_parameters(members: dict[str, str], imports: Any) -> None:
    assert imports.public(members) == "key.too_weak"
    halves = dict.fromkeys(("d", "p", "q", "dp", "dq", "qi"), "AQAB")
    with pytest.raises(sw.RejectedError) as caught:
        sw.PrivateJWK.from_dict({**members, **halves})
    assert caught.value.reason == "key.too_weak"


@pytest.mark.attack(13)
def test_an_rsa_modulus_so_large_that_each_check_takes_seconds(imports: Any) -> None:
    assert imports.public(rsa_members(2**16000 + 9)) == "key.unsupported"


@pytest.mark.parametrize(
    ("curve", "raw"),
    [
        ("Ed25519", bytes([1, *[0] * 31])),
        ("Ed25519", bytes(32)),
        ("Ed25519", (2**255 - 20).to_bytes(32, "little")),
        ("Ed448", bytes([1, *[0] * 56])),
    ],
)
@pytest.mark.attack(13)
def test_a_small_order_point_with_which_one_signature_fits_all_messages(curve: str, raw: bytes, imports: Any) -> None:
    members = {"kty": "OKP", "crv": curve, "kid": "weak", "x": base64url.encode_text(raw)}
    assert imports.public(members) == "key.too_weak"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("." * 60_000, "token.malformed"),
        ("a." * 30_000, "token.malformed"),
        (".." + "." * 3, "token.malformed"),
        ("A" * 17_000 + ".e30.AA", "header.too_large"),
        ("a.b.c.d", "token.malformed"),
        ("ab", "token.malformed"),
    ],
)
@pytest.mark.attack(16)
def test_dots_segments_and_headers_beyond_their_limit(token: str, reason: str, signers: Any, doors: Any) -> None:
    assert doors.everywhere(token, secret()) == reason
    assert doors.everywhere(token, signers["ES256"].public) == reason


@pytest.mark.attack(16)
def test_a_token_of_many_megabytes(signers: Any, doors: Any) -> None:
    for token in ("A" * 10_000_000, "." * 10_000_000, forge({"alg": "HS256"}, payload=b"x" * 2_000_000)):
        assert doors.everywhere(token, secret()) == "token.too_large"
    below = forge({"alg": "HS256", "kid": "k1"}, payload=usual(None)[:-1] + b',"pad":"' + b"x" * 100_000 + b'"}')
    assert doors.signature(below, secret()) is None
    assert doors.verifier(below, secret()) == "token.too_large"
    assert doors.verifier(below, secret(), maximum_token_bytes=200_000) is None


@pytest.mark.attack(16)
def test_a_set_of_so_many_keys_that_reading_it_takes_seconds(signers: Any, server: Any, remote: Any) -> None:
    listed = {"keys": [signers["ES256"].public.to_dict()] * 101}
    for read, given in ((sw.JWKSet.from_dict, listed), (sw.JWKSet.from_json, json.dumps(listed).encode())):
        with pytest.raises(sw.RejectedError) as caught:
            read(given)
        assert caught.value.reason == "key.unsupported"
    server.keys = listed["keys"]
    assert undecided(remote()) == "source.malformed"


@pytest.mark.attack(16)
def test_a_refused_token_is_in_no_message_and_no_traceback(signers: Any) -> None:
    """An exception ends up in a log; a token in a log is a stolen token."""
    good = forge({"alg": "ES256", "kid": "k1"}, sign=signers["ES256"].sign)
    for token in (good[:-8] + "AAAAAAAA", good + ".x", good + "=", "x" * 17_000 + good, good.replace(".", "!")):
        with pytest.raises(sw.RejectedError) as caught:
            sw.verify_signature(token, signers["ES256"].public)
        shown = f"{caught.value!r} {caught.value} {''.join(traceback.format_exception_only(caught.value))}"
        assert not any(part in shown for part in good.split("."))


@pytest.mark.parametrize("deep", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("depth", [33, 5_000])
@pytest.mark.attack(17)
def test_json_nested_so_deep_that_a_parser_runs_out_of_stack(deep: bytes, depth: int, doors: Any) -> None:
    closing = bytes(reversed(deep.replace(b'"a":', b""))).translate(bytes.maketrans(b"[{", b"]}"))
    value = deep * depth + b"1" + closing * depth
    if len(value) < 12_000:  # in a header, a longer one is too large before it is too deep
        assert doors.everywhere(forge(b'{"alg":"HS256","x":' + value + b"}"), secret()) == "json.too_deep"
    claims = forge({"alg": "HS256", "kid": "k1"}, payload=usual(None)[:-1] + b',"x":' + value + b"}")
    assert doors.verifier(claims, secret(), maximum_token_bytes=200_000) == "json.too_deep"
    with pytest.raises(sw.RejectedError) as caught:
        sw.verify_signature(claims, secret()).json()
    assert caught.value.reason == "json.too_deep"
    with pytest.raises(sw.RejectedError) as caught:
        sw.JWKSet.from_json(b'{"keys":' + value + b"}")
    assert caught.value.reason == "json.too_deep"


@pytest.mark.attack(17)
def test_a_published_set_nested_deep(server: Any, remote: Any) -> None:
    nested: Any = 1
    for _ in range(500):
        nested = [nested]
    server.keys = [{"kty": "RSA", "x": nested}]
    assert undecided(remote()) == "source.malformed"


def undecided(source: sw.RemoteJWKSet) -> sw.Reason:
    """Why the first fetch gave no keys."""
    with pytest.raises(sw.UnavailableError) as caught:
        source.find("k1")
    assert caught.value.reason == "source.unavailable"
    assert isinstance(caught.value.__cause__, sw.UnavailableError)
    return caught.value.__cause__.reason


@pytest.mark.attack(18)
def test_a_password_iteration_count_or_a_compressed_payload_that_costs_seconds(doors: Any, clock: Any) -> None:
    """Such tokens are encrypted ones: they are refused by their five segments, before any member is looked at."""
    for header in (
        {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": "AAAA", "p2c": 2**31 - 1},
        {"alg": "dir", "enc": "A128GCM", "zip": "DEF"},
    ):
        head = base64url.encode_text(json.dumps(header).encode())
        assert doors.everywhere(f"{head}.AAAA.AAAA.AAAA.AAAA", secret()) == "token.malformed"
        three = forge(json.dumps({**header, "kid": "k1"}).encode())
        assert doors.signature(three, secret()) == "algorithm.key_mismatch"
        assert doors.verifier(three, secret()) == "algorithm.unknown"


@pytest.mark.attack(18)
def test_a_compressed_payload_is_never_unpacked_here(server: Any, remote: Any, signers: Any) -> None:
    bomb = __import__("zlib").compress(bytes(1_000_000))
    token = forge({"alg": "HS256", "kid": "k1", "zip": "DEF"}, payload=bomb)
    assert sw.verify_signature(token, secret()).payload == bomb
    server.keys, server.mode = [signers["ES256"].public.to_dict()], "compressed"
    assert undecided(remote()) == "source.malformed"


WRONG_TYPES = {
    "exp": [str(NOW + 900), True, None, [NOW + 900], {"t": NOW + 900}],
    "nbf": [str(NOW), True, False, None, [NOW]],
    "iat": [str(NOW), True, False, None, [NOW]],
    "aud": [None, 7, True, {"orders": 1}, [["orders"]], ["orders", 7], [None]],
    "sub": [7, None, ["u"], {"u": 1}],
    "jti": [7, None, ["u"]],
    "scope": [["read"], None, 7],
    "client_id": [["a"], None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG_TYPES.items() for value in values])
@pytest.mark.attack(19)
def test_a_registered_claim_of_the_wrong_type(name: str, value: Any, signers: Any, doors: Any) -> None:
    payload = json.dumps({**CLAIMS, name: value}).encode()
    assert doors.verifier(forge({"alg": "HS256", "kid": "k1"}, payload=payload), secret()) == "claims.wrong_type"
    token = forge({"alg": "ES256", "kid": "k1"}, sign=signers["ES256"].sign, payload=payload)
    assert doors.verifier(token, signers["ES256"].public) == "claims.wrong_type"
    with pytest.raises(sw.RejectedError) as caught:  # nor is such a token made
        sw.sign_claims({name: value}, signers["ES256"], issuer=ISSUER, audience=AUDIENCE, lifetime_s=900)
    assert caught.value.reason == "claims.wrong_type"


@pytest.mark.parametrize("value", [["https://id.example"], None, 7, {"https://id.example": 1}, True])
@pytest.mark.attack(19)
def test_an_issuer_of_the_wrong_type(value: Any, doors: Any) -> None:
    """Nobody is found by it; where every issuer is accepted, the type still counts."""
    token = forge({"alg": "HS256", "kid": "k1"}, payload=json.dumps({**CLAIMS, "iss": value}).encode())
    assert doors.verifier(token, secret()) == "issuer.missing"
    assert doors.verifier(token, secret(), issuer=sw.IGNORE_ISSUER) == "claims.wrong_type"


@pytest.mark.parametrize("value", ["https://id.exampl", "https://id.example/", "id.example", "HTTPS://id.example", ""])
@pytest.mark.attack(19)
def test_a_part_of_an_issuer_in_the_place_of_the_whole(value: str, doors: Any) -> None:
    token = forge({"alg": "HS256", "kid": "k1"}, payload=json.dumps({**CLAIMS, "iss": value}).encode())
    assert doors.verifier(token, secret()) == "issuer.unknown"


@pytest.mark.parametrize("kid", [7, None, True, ["k1"], {"k1": 1}, 1.5])
@pytest.mark.attack(20)
def test_a_kid_that_is_no_text(kid: Any, signers: Any, doors: Any, imports: Any) -> None:
    assert doors.everywhere(forge({"alg": "HS256", "kid": kid}), secret()) == "header.malformed"
    assert imports.public({**signers["ES256"].public.to_dict(), "kid": kid}) == "key.malformed"
    with pytest.raises(sw.RejectedError) as caught:
        compact.parse(forge({"alg": "HS256", "kid": kid}))
    assert caught.value.reason == "header.malformed"


@pytest.mark.parametrize(
    "kid", ["../../../../dev/null", "k1' OR '1'='1", "k1; rm -rf /", "http://127.0.0.1/k1", "k1\x00", "K1", "k1 ", ""]
)
@pytest.mark.attack(20)
def test_a_kid_that_is_a_path_a_query_or_a_command(kid: str, signers: Any, doors: Any, server: Any) -> None:
    assert doors.everywhere(forge({"alg": "HS256", "kid": kid}), secret()) == "key.not_found"
    token = forge({"alg": "ES256", "kid": kid}, sign=signers["ES256"].sign)
    assert doors.everywhere(token, signers["ES256"].public) == "key.not_found"
    assert set(server.paths) == {"/jwks.json"}
