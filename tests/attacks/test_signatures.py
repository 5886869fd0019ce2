"""Attacks on the signature itself: values that no signer makes, and verdicts remembered for the wrong token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from forging import AUDIENCE, CLAIMS, ISSUER, forge, joined, with_signature

import sealwright as sw
from sealwright.jose import base64url, compact, strict_json

ORDERS = {
    "ES256": (32, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    "ES384": (48, 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D),
    "ES512": (66, 2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7),
    "ES256K": (32, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141),
}


def psychic(size: int, order: int, good: bytes) -> Iterator[bytes]:
    """Pairs outside of 1..n-1, pairs in another length or notation, and the good pair with n added to it."""
    r, s = int.from_bytes(good[:size], "big"), int.from_bytes(good[size:], "big")
    wrong = [0, order, order + 1, 2 ** (8 * size) - 1]
    for pair in [(a, b) for a in [*wrong, 1] for b in [*wrong, 1]] + [(r, a) for a in wrong] + [(a, s) for a in wrong]:
        yield b"".join(number.to_bytes(size, "big") for number in pair)
    for pair in ((r + order, s), (r, s + order)):
        if max(pair) < 2 ** (8 * size):  # always for P-521: n + r fits into its 66 bytes
            yield b"".join(number.to_bytes(size, "big") for number in pair)
    yield from (b"", good[:-1], good + b"\x00", b"\x00" + good, good[:size], good + good)
    yield good[:size] + b"\x00" + good[size:]  # the same two numbers, for whoever does not count
    yield b"\x00" + good[:size] + b"\x00" + good[size:]
    yield encode_dss_signature(r, s)


@pytest.mark.parametrize("alg", ORDERS)
@pytest.mark.attack(12)
def test_psychic_ecdsa_signatures_and_signatures_in_another_length(alg: str, signers: Any, doors: Any) -> None:
    token = forge({"alg": alg, "kid": "k1"}, sign=signers[alg].sign)
    good = base64url.decode_text(token.rpartition(".")[2])
    assert doors.signature(token, signers[alg].public) is None
    for signature in psychic(*ORDERS[alg], good):
        forged = with_signature(token, signature)
        assert doors.signature(forged, signers[alg].public) == "signature.invalid", signature.hex()
    assert doors.everywhere(with_signature(token, bytes(len(good))), signers[alg].public) == "signature.invalid"


@pytest.mark.parametrize("alg", ["RS256", "PS256", "Ed25519", "Ed448", "ML-DSA-44"])
@pytest.mark.attack(12)
def test_other_signatures_that_are_empty_cut_or_lengthened(alg: str, signers: Any, doors: Any) -> None:
    token = forge({"alg": alg, "kid": "k1"}, sign=signers[alg].sign)
    good = base64url.decode_text(token.rpartition(".")[2])
    for signature in (b"", good[:-1], good + b"\x00", b"\x00" + good, bytes(len(good)), b"\xff" * len(good)):
        assert doors.signature(with_signature(token, signature), signers[alg].public) == "signature.invalid"
    assert doors.everywhere(with_signature(token, b""), signers[alg].public) == "signature.invalid"


@pytest.mark.attack(12)
def test_an_ed25519_signature_with_the_group_order_added_to_s(signers: Any, doors: Any) -> None:
    token = forge({"alg": "Ed25519", "kid": "k1"}, sign=signers["Ed25519"].sign)
    good = base64url.decode_text(token.rpartition(".")[2])
    order = 2**252 + 27742317777372353535851937790883648493
    twin = good[:32] + (int.from_bytes(good[32:], "little") + order).to_bytes(32, "little")
    assert doors.everywhere(with_signature(token, twin), signers["Ed25519"].public) == "signature.invalid"


@pytest.mark.attack(26)
def test_a_token_that_shares_a_beginning_or_an_end_with_an_accepted_one(signers: Any, clock: Any) -> None:
    verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=signers["ES256"].public, clock=clock)
    accepted = forge({"alg": "ES256", "kid": "k1"}, sign=signers["ES256"].sign)
    other = strict_json.encode_object({**CLAIMS, "sub": "admin"})
    head, body, signature = accepted.split(".")
    collisions = [
        f"{head}.{base64url.encode_text(other)}.{signature}",
        joined(head.encode(), base64url.encode(other), lambda _: bytes(64)),
        f"{head}.{body}.{signature[:40]}{'A' * (len(signature) - 40)}",
        f"{head}.{body}.{'A' * 40}{signature[40:]}",
    ]
    for _ in range(2):
        assert verifier.decide(accepted).accepted
        for token in collisions:
            assert verifier.decide(token).reason == "signature.invalid"


@pytest.mark.attack(26)
def test_a_verdict_for_one_policy_reused_for_another(signers: Any, clock: Any) -> None:
    key = signers["ES256"]
    token = forge({"alg": "ES256", "kid": "k1"}, sign=key.sign)
    usual: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "keys": key.public, "clock": clock}
    assert sw.Verifier(**usual).decide(token).accepted
    assert sw.Verifier(**{**usual, "audience": "billing"}).decide(token).reason == "claims.audience"
    assert sw.Verifier(**usual, typ="at+jwt").decide(token).reason == "header.type"
    assert sw.Verifier(**usual, algorithms={"ES384"}).decide(token).reason == "algorithm.not_allowed"
    assert sw.Verifier(**{**usual, "keys": signers["ES384"].public}).decide(token).reason == "algorithm.key_mismatch"
    verifier = sw.Verifier(**usual)
    assert verifier.decide(token).accepted
    clock.advance(9999 + 60)
    assert verifier.decide(token).reason == "claims.expired"


@pytest.mark.attack(11)
def test_an_encrypted_token_where_a_signed_one_is_expected(signers: Any, doors: Any) -> None:
    for header in (b'{"alg":"dir","enc":"A256GCM"}', b'{"alg":"RSA-OAEP-256","enc":"A128CBC-HS256","cty":"JWT"}'):
        head = base64url.encode_text(header)
        for token in (f"{head}..AAAA.AAAA.AAAA", f"{head}.AAAA.AAAA.AAAA.AAAA", f"{head}.AAAA.AAAA.AAAA."):
            assert doors.everywhere(token, signers["RS256"].public) == "token.malformed"
            with pytest.raises(sw.RejectedError) as caught:
                compact.parse(token)
            assert caught.value.reason == "token.malformed"


@pytest.mark.attack(11)
def test_an_unsecured_jwt_inside_of_another_token(signers: Any, doors: Any, impostor: Any) -> None:
    """What is inside is payload, and never a token that was verified: its claims do not count."""
    inner = forge({"alg": "none"}, sign=lambda _: b"")
    token = forge({"alg": "ES256", "kid": "k1", "cty": "JWT"}, sign=signers["ES256"].sign, payload=inner.encode())
    assert sw.verify_signature(token, signers["ES256"].public).payload == inner.encode()
    assert doors.verifier(token, signers["ES256"].public) == "json.malformed"
    assert doors.signature(inner, signers["ES256"].public) == "algorithm.key_mismatch"
    assert doors.verifier(inner, signers["ES256"].public) == "algorithm.unknown"
