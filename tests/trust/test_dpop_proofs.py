"""Every check of RFC 9449 §4.3 fails by itself: one good proof, and one change to it at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from binding_parts import (
    CLIENT_KEY,
    METHOD,
    URL,
    OnceEach,
    bound_token,
    each_way,
    evidence,
    parts,
    proof_of,
    signed,
    verifier,
)

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url, strict_json
from sealwright.profiles.dpop_proof import sign_proof
from sealwright.trust.dpop import ALGORITHMS_OF_PROOFS, DpopProofs
from sealwright.trust.evidence import Evidence

SECRET = sw.SecretJWK.generate("HS256")
OTHER = sw.PrivateJWK.generate("ES256")
WEAK = {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode_text(bytes([1]) + bytes(31))}  # order 1
PRIVATE = CLIENT_KEY.export_private_dict()

HEADER_CHANGES: dict[str, Any] = {
    "no typ": {"typ": None},
    "typ of an access token": {"typ": "at+jwt"},
    "typ JWT": {"typ": "JWT"},
    "alg none": {"alg": "none"},
    "alg HS256": {"alg": "HS256"},
    "alg of another kind of key": {"alg": "RS256"},
    "alg of another curve": {"alg": "ES384"},
    "alg that nobody knows": {"alg": "ES257"},
    "no jwk": {"jwk": None},
    "jwk that is text": {"jwk": "x"},
    "jwk that is empty": {"jwk": {}},
    "jwk with its private part": {"jwk": PRIVATE},
    "jwk of a secret": {"jwk": {"kty": "oct", "k": "AAAA"}},
    "jwk of another key": {"jwk": OTHER.public.to_dict()},
    "jwk off its curve": {"jwk": {**CLIENT_KEY.public.to_dict(), "y": CLIENT_KEY.public.members["x"]}},
    "jwk of small order": {"jwk": WEAK, "alg": "EdDSA"},
    "jwk for encryption": {"jwk": {**CLIENT_KEY.public.to_dict(), "use": "enc"}},
    "jwk with another alg": {"jwk": {**CLIENT_KEY.public.to_dict(), "alg": "ES384"}},
    "an extension that is critical": {"crit": ["exp"], "exp": 1},
    "an unencoded payload": {"crit": ["b64"], "b64": False},
}
CLAIM_CHANGES: dict[str, Any] = {
    "no htm": {"htm": None},
    "another method": {"htm": "GET"},
    "the method in lower case": {"htm": "post"},
    "htm that is no text": {"htm": ["POST"]},
    "no htu": {"htu": None},
    "another host": {"htu": "https://orders.example.evil/orders"},
    "another path": {"htu": "https://orders.example/orders/"},
    "another scheme": {"htu": "http://orders.example/orders"},
    "another port": {"htu": "https://orders.example:8443/orders"},
    "htu with a user": {"htu": "https://orders.example@evil.example/orders"},
    "htu that is a path": {"htu": "/orders"},
    "htu that is no text": {"htu": 5},
    "no iat": {"iat": None},
    "iat that is text": {"iat": "1700000000"},
    "iat that is true": {"iat": True},
    "iat too old": lambda now: {"iat": now - 71},
    "iat too far ahead": lambda now: {"iat": now + 12},
    "iat beyond all numbers": {"iat": 1e300},
    "no jti": {"jti": None},
    "jti that is empty": {"jti": ""},
    "jti that is too long": {"jti": "j" * 257},
    "jti that is no text": {"jti": 7},
    "no ath": {"ath": None},
    "ath of another token": {"ath": base64url.encode_text(bytes(32))},
    "ath that is no text": {"ath": 1},
}


def changed(members: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not None}


def answer(clock: ManualClock, text: str, *proofs: str, **changes: Any) -> Reason | None:
    return each_way(lambda: verifier(clock, **changes), text, evidence(*proofs)).reason


@pytest.mark.parametrize("name", HEADER_CHANGES)
def test_a_proof_with_one_fault_in_its_header_is_refused(clock: ManualClock, name: str) -> None:
    text = bound_token(clock)
    header, claims = parts(proof_of(text, clock))
    key: Any = SECRET if name == "alg HS256" else CLIENT_KEY
    expected = Reason.BINDING_MISMATCH if name == "jwk of another key" else Reason.BINDING_PROOF
    assert answer(clock, text, signed(changed(header, HEADER_CHANGES[name]), claims, key)) == expected
    assert answer(clock, text, signed(header, claims)) is None


@pytest.mark.parametrize("name", CLAIM_CHANGES)
def test_a_proof_with_one_fault_in_its_claims_is_refused(clock: ManualClock, name: str) -> None:
    text = bound_token(clock)
    header, claims = parts(proof_of(text, clock))
    changes = CLAIM_CHANGES[name]
    changes = changes(int(clock.now())) if callable(changes) else changes
    assert answer(clock, text, signed(header, changed(claims, changes))) == Reason.BINDING_PROOF


NOT_PROOFS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "two proofs": lambda proof: (proof, proof),
    "two proofs in one header": lambda proof: (f"{proof}, {proof}",),
    "an empty header": lambda _: ("",),
    "two segments": lambda proof: (proof.rpartition(".")[0],),
    "another signature": lambda proof: (proof.rpartition(".")[0] + "." + base64url.encode_text(bytes(64)),),
    "no signature": lambda proof: (proof.rpartition(".")[0] + ".",),
    "a shorter signature": lambda proof: (proof.rpartition(".")[0] + "." + base64url.encode_text(bytes(63)),),
    "padding": lambda proof: (proof + "=",),
    "JSON": lambda _: ('{"payload":"","signatures":[]}',),
    "too many bytes": lambda proof: (proof + "A" * 16384,),
    "no ASCII": lambda proof: (proof + "\u00e9",),
    "claims that are a list": lambda proof: (
        signed_text(proof.split(".")[0], base64url.encode_text(b"[]")),
    ),
    "claims named twice": lambda proof: (
        signed_text(proof.split(".")[0], base64url.encode_text(b'{"htm":"GET","htm":"POST"}')),
    ),
}  # fmt: skip


def signed_text(header: str, payload: str) -> str:
    return f"{header}.{payload}." + base64url.encode_text(CLIENT_KEY.sign(f"{header}.{payload}".encode()))


@pytest.mark.parametrize("name", NOT_PROOFS)
def test_what_is_not_exactly_one_proof_is_refused(clock: ManualClock, name: str) -> None:
    text = bound_token(clock)
    assert answer(clock, text, *NOT_PROOFS[name](proof_of(text, clock))) == Reason.BINDING_PROOF


def test_a_proof_that_is_larger_than_proofs_are_is_refused_though_it_would_hold(clock: ManualClock) -> None:
    text = bound_token(clock)
    header, claims = parts(proof_of(text, clock))
    assert answer(clock, text, signed(header, {**claims, "more": "x" * 8_000})) is None
    assert answer(clock, text, signed(header, {**claims, "more": "x" * 12_000})) == Reason.BINDING_PROOF


def test_the_claims_of_a_proof_are_always_encoded(clock: ManualClock) -> None:
    """RFC 7797 §7."""
    text, url = bound_token(clock), "https://orders/"
    header, claims = parts(sign_proof(CLIENT_KEY, METHOD, url, token=text, clock=clock))
    encoded = base64url.encode(strict_json.encode_object({**header, "b64": False, "crit": ["b64"]}))
    signing_input = encoded + b"." + strict_json.encode_object(claims)
    proof = (signing_input + b"." + base64url.encode(CLIENT_KEY.sign(signing_input))).decode()
    assert sw.verify_signature(proof, CLIENT_KEY.public).json() == claims
    assert each_way(lambda: verifier(clock), text, evidence(proof, url=url)).reason == Reason.BINDING_PROOF


def test_an_algorithm_that_is_not_allowed_is_refused_before_anything_else_is_read(clock: ManualClock) -> None:
    text = bound_token(clock)
    header, claims = parts(proof_of(text, clock))
    bad = evidence(signed({**header, "alg": "ES384"}, {**claims, "htm": "GET"}))
    errors = [
        verifier(clock, dpop=rules).decide(text, evidence=bad).error
        for rules in (DpopProofs(algorithms=frozenset({"ES256"})), DpopProofs())
    ]
    assert [error.message for error in errors if error] == [
        "the DPoP proof is malformed",
        "the DPoP proof is for another method",
    ]


@pytest.mark.parametrize("missing", ["method", "url"])
def test_a_proof_is_nothing_without_the_request_that_it_is_for(clock: ManualClock, missing: str) -> None:
    text = bound_token(clock)
    shown = evidence(proof_of(text, clock), **{missing: None})
    assert each_way(lambda: verifier(clock), text, shown).reason == Reason.BINDING_MISSING


@pytest.mark.parametrize("url", ["", "/orders", "ftp://orders.example/orders", "https://orders.example/ä", "x" * 9000])
def test_a_request_url_that_is_none_accepts_nothing(clock: ManualClock, url: str) -> None:
    text = bound_token(clock)
    shown = evidence(proof_of(text, clock), url=url)
    assert each_way(lambda: verifier(clock), text, shown).reason == Reason.BINDING_PROOF


@pytest.mark.parametrize("age_s", [-10, 0, 60, 69])
def test_a_proof_is_good_within_its_window(clock: ManualClock, age_s: float) -> None:
    text = bound_token(clock)
    made = ManualClock(clock.now() - age_s)
    assert answer(clock, text, proof_of(text, made)) is None


def test_the_window_is_configurable(clock: ManualClock) -> None:
    text = bound_token(clock)
    proof = proof_of(text, ManualClock(clock.now() - 15))
    assert answer(clock, text, proof, dpop=DpopProofs(maximum_age_s=10, leeway_s=0)) == Reason.BINDING_PROOF
    assert answer(clock, text, proof, dpop=DpopProofs(maximum_age_s=20, leeway_s=0)) is None


@pytest.mark.parametrize("name", [*sorted(ALGORITHMS_OF_PROOFS), "EdDSA"])
def test_a_client_may_sign_with_each_allowed_algorithm_and_its_key_may_be_bare(clock: ManualClock, name: str) -> None:
    key = sw.PrivateJWK.generate(name) if name != "EdDSA" else sw.PrivateJWK.generate("EdDSA")
    text = bound_token(clock, jkt=key.public.thumbprint())
    proof = proof_of(text, clock, key)
    assert parts(proof)[0].keys() == {"typ", "alg", "jwk"}
    assert not {"kid", "use"} & parts(proof)[0]["jwk"].keys()
    assert answer(clock, text, proof) is None
    others = ALGORITHMS_OF_PROOFS - {name, "Ed25519"}
    assert answer(clock, text, proof, dpop=DpopProofs(algorithms=others)) == Reason.BINDING_PROOF


def test_the_key_of_a_proof_never_verifies_a_token(clock: ManualClock) -> None:
    header, claims = parts(bound_token(clock))
    forged = signed({**header, "jwk": CLIENT_KEY.public.to_dict()}, claims)
    assert answer(clock, forged, proof_of(forged, clock)) == Reason.SIGNATURE_INVALID


def test_garbage_is_refused_before_its_signature_is_looked_at_and_reaches_no_store(clock: ManualClock) -> None:
    text, claims = bound_token(clock), OnceEach(clock)
    one = verifier(clock, claims)
    header, members = parts(proof_of(text, clock))
    faults = {name: fault(int(clock.now())) if callable(fault) else fault for name, fault in CLAIM_CHANGES.items()}
    for fault in faults.values():
        bad = signed(header, changed(members, fault), OTHER)
        error = one.decide(text, evidence=evidence(bad)).error
        assert error is not None
        assert "signed" not in error.message
    unsigned = one.decide(text, evidence=evidence(signed(header, members, OTHER))).error
    assert unsigned is not None
    assert "signed" in unsigned.message
    assert not claims.asked


def test_neither_proof_nor_token_is_shown_where_a_proof_is_refused(clock: ManualClock) -> None:
    text = bound_token(clock)
    proof = proof_of("another.token.here", clock)
    shown = evidence(proof)
    assert proof not in repr(shown)
    with pytest.raises(RejectedError) as caught:
        verifier(clock).verify(text, evidence=shown)
    for secret in (text, proof):
        assert not re.search(re.escape(secret[-40:]), f"{caught.value!r} {caught.value.detail}")


def test_a_client_s_proof_says_what_rfc_9449_asks_of_it(clock: ManualClock) -> None:
    proof = sign_proof(CLIENT_KEY, METHOD, URL + "#part", token="a.b.c", nonce="n", clock=clock)
    header, claims = parts(proof)
    assert header["typ"] == "dpop+jwt"
    assert claims.keys() == {"jti", "htm", "htu", "iat", "ath", "nonce"}
    assert claims["htu"] == "https://orders.example/orders"
    assert claims["jti"] != parts(sign_proof(CLIENT_KEY, METHOD, URL, clock=clock))[1]["jti"]
    assert "ath" not in parts(sign_proof(CLIENT_KEY, METHOD, URL, clock=clock))[1]
    assert sw.verify_signature(proof, CLIENT_KEY.public).payload


def test_a_request_that_was_written_differently_is_the_same(clock: ManualClock) -> None:
    text = bound_token(clock)
    shown = Evidence(
        method=METHOD, url="HTTPS://Orders.Example:443/%6frders?other=1", scheme="dpop", proofs=(proof_of(text, clock),)
    )
    assert each_way(lambda: verifier(clock), text, shown).accepted
