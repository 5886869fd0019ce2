"""Attacks on where keys come from: other addresses, other issuers' keys, old keys, and a source that is worn out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from forging import AUDIENCE, CLAIMS, ISSUER, forge, secret, without
from jwks_server import JwksServer

import sealwright as sw
from sealwright.trust.sources.key_address import KeyAddress

OTHER = "https://other.example"


def found(source: sw.RemoteJWKSet, key_id: str) -> str:
    """The word "found", or why not."""
    try:
        source.find(key_id)
    except (sw.RejectedError, sw.UnavailableError) as error:
        return error.reason
    return "found"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://id.example/jwks.json",
        "data:application/json,{}",
        "gopher://id.example/",
        "jar:https://id.example!/jwks.json",
        "//id.example/jwks.json",
        "http://id.example/jwks.json",
        "http://10.0.0.1/jwks.json",
        "http://127.0.0.1.id.example/jwks.json",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00:ec2::254]/",
        "https://id.example@169.254.169.254/",
        "https://user:password@id.example/jwks.json",
        "https://id.example/jwks.json#k1",
    ],
)
@pytest.mark.attack(6)
def test_a_key_url_with_another_scheme_or_into_the_network_behind(url: str) -> None:
    with pytest.raises(sw.ConfigurationError) as caught:
        sw.RemoteJWKSet(url)
    assert caught.value.reason == "settings.invalid"


@pytest.mark.parametrize("resolved", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0"])
@pytest.mark.attack(6)
def test_a_key_host_whose_name_leads_to_where_clouds_keep_credentials(resolved: str) -> None:
    with pytest.raises(sw.UnavailableError) as caught:
        KeyAddress.parse("https://id.example/").check_resolved(resolved)
    assert caught.value.reason == "source.unavailable"


@pytest.mark.attack(6)
def test_a_redirect_of_the_key_url(server: Any, remote: Any, signers: Any) -> None:
    server.publish(signers["ES256"])
    server.mode = "redirect"
    assert found(remote(), "k1") == "source.unavailable"
    assert server.paths == ["/jwks.json"]


@pytest.mark.parametrize("mode", ["big", "endless", "drip_body", "drip_header"])
@pytest.mark.attack(6)
def test_an_answer_without_end(mode: str, server: Any, remote: Any, signers: Any) -> None:
    server.publish(signers["ES256"])
    server.mode = mode
    assert found(remote(timeout_s=0.5), "k1") == "source.unavailable"
    assert server.bytes_sent < 20 * 1024 * 1024


@pytest.mark.parametrize("scheme", ["file:///etc/passwd", "http://127.0.0.1:1/", "ftp://id.example/"])
@pytest.mark.attack(6)
def test_a_jku_with_which_a_token_makes_the_verifier_call_out(
    scheme: str, signers: Any, doors: Any, impostor: Any, server: Any
) -> None:
    token = forge({"alg": "ES256", "kid": "k1", "jku": scheme, "x5u": scheme}, sign=impostor.sign)
    assert doors.everywhere(token, signers["ES256"].public) == "signature.invalid"
    assert set(server.paths) == {"/jwks.json"}


@pytest.mark.attack(21)
def test_a_kid_that_is_not_found_falls_through_to_another_key(signers: Any, doors: Any) -> None:
    """The signature would verify: with one key only, with several, with a secret, and over the network."""
    stranger = {"alg": "ES256", "kid": "k2"}
    token = forge(stranger, sign=signers["ES256"].sign)
    assert doors.everywhere(token, signers["ES256"].public) == "key.not_found"
    assert doors.everywhere(forge({"alg": "HS256", "kid": "k2"}), secret()) == "key.not_found"
    several = sw.JWKSet([signers["ES256"].public, sw.PrivateJWK.generate("ES256").public])
    nameless = forge({"alg": "ES256"}, sign=signers["ES256"].sign)
    for refused, reason in ((token, "key.not_found"), (nameless, "key.id_missing")):
        with pytest.raises(sw.RejectedError) as caught:
            sw.verify_signature(refused, several)
        assert caught.value.reason == reason
        verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=several)
        assert verifier.decide(refused).reason == reason


@pytest.mark.attack(21)
def test_a_kid_that_two_keys_share(signers: Any, impostor: Any, server: Any, remote: Any, clock: Any) -> None:
    keys = sw.JWKSet([signers["ES256"].public, impostor.public])
    server.keys = keys.to_dict()["keys"]
    for key in (signers["ES256"], impostor):
        token = forge({"alg": "ES256", "kid": "k1"}, sign=key.sign)
        with pytest.raises(sw.RejectedError) as caught:
            sw.verify_signature(token, keys)
        assert caught.value.reason == "key.ambiguous"
        for source in (keys, remote()):
            verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=source, clock=clock)
            assert verifier.decide(token).reason == "key.ambiguous"


@pytest.mark.attack(22)
def test_a_key_of_one_issuer_used_for_another_with_the_same_kid(
    signers: Any, impostor: Any, server: Any, remote: Any, clock: Any
) -> None:
    theirs = JwksServer()
    try:
        server.publish(signers["ES256"])
        theirs.publish(impostor)
        trusted = [
            sw.TrustedIssuer(sw.VerificationPolicy(issuer=name, audience=AUDIENCE), remote(url))
            for name, url in ((ISSUER, server.url), (OTHER, theirs.url))
        ]
        verifier = sw.Verifier(issuers=trusted, clock=clock)
        for _ in range(2):  # with caches cold, then warm
            assert verifier.decide(claimed(impostor, OTHER)).accepted
            assert verifier.decide(claimed(signers["ES256"], ISSUER)).accepted
            assert verifier.decide(claimed(impostor, ISSUER)).reason == "signature.invalid"
            assert verifier.decide(claimed(signers["ES256"], OTHER)).reason == "signature.invalid"
            assert verifier.decide(claimed(impostor, "https://third.example")).reason == "issuer.unknown"
    finally:
        theirs.stop()


def claimed(key: sw.PrivateJWK, issuer: str) -> str:
    payload = json.dumps({**CLAIMS, "iss": issuer}).encode()
    return forge({"alg": "ES256", "kid": "k1"}, sign=key.sign, payload=payload)


@pytest.mark.attack(23)
def test_a_removed_key_that_is_still_trusted(server: Any, remote: Any, signers: Any, clock: Any) -> None:
    server.publish(signers["ES256"])
    source = remote()
    verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=source, clock=clock)
    token = forge({"alg": "ES256", "kid": "k1"}, sign=signers["ES256"].sign)
    assert verifier.decide(token).accepted
    server.publish(sw.PrivateJWK.generate("ES256", key_id="k2"))
    source.refresh()
    assert verifier.decide(token).reason == "key.not_found"


@pytest.mark.attack(23)
def test_a_removed_key_hidden_by_keeping_the_source_down(server: Any, remote: Any, signers: Any, clock: Any) -> None:
    """Last good keys bridge an outage, and end at the hard deadline: 300 s fresh and 3600 s stale."""
    server.publish(signers["ES256"])
    verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=remote(), clock=clock)
    token = forge({"alg": "ES256", "kid": "k1"}, sign=signers["ES256"].sign)
    assert verifier.decide(token).accepted
    server.mode = "error"
    clock.advance(3899)
    assert verifier.decide(token).accepted
    clock.advance(1)
    assert verifier.decide(token).reason == "source.unavailable"
    assert verifier.decide(token).outcome == "undecided"


@pytest.mark.parametrize("mode", ["error", "garbage", "empty", "truncated"])
@pytest.mark.attack(24)
def test_a_failed_refresh_that_would_wipe_the_known_keys(mode: str, server: Any, remote: Any, signers: Any) -> None:
    server.publish(signers["ES256"])
    source = remote()
    assert found(source, "k1") == "found"
    server.mode = mode
    with pytest.raises(sw.UnavailableError):
        source.refresh()
    assert found(source, "k1") == "found"


@pytest.mark.parametrize("mode", ["ok", "error"])
@pytest.mark.attack(24)
def test_a_flood_of_unknown_kids(mode: str, server: Any, remote: Any, signers: Any, clock: Any) -> None:
    server.publish(signers["ES256"])
    verifier = sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=remote(), clock=clock)
    good = forge({"alg": "ES256", "kid": "k1"}, sign=signers["ES256"].sign)
    assert verifier.decide(good).accepted
    server.mode = mode
    before, reasons = server.fetches, set()
    for number in range(200):
        token = forge({"alg": "ES256", "kid": f"unknown-{number}"}, sign=signers["ES256"].sign)
        reasons.add(verifier.decide(token).reason)
    assert server.fetches - before <= 5
    assert reasons <= {"key.not_found", "source.unavailable"}
    assert verifier.decide(good).accepted


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"kty": "RSA", "n": "!!", "e": "AQAB"}, "key.malformed"),
        ({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, "key.malformed"),
        ({"kty": "EC", "crv": "P-9999", "x": "AA", "y": "AA"}, "key.unsupported"),
        ({"kty": "OKP", "crv": "Ed25519", "x": None}, "key.malformed"),
        ({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, "key.malformed"),
        ({"kty": "future"}, "key.unsupported"),
        ({"kty": 7}, "key.malformed"),
        ({}, "key.unsupported"),
        ({"kty": "oct", "alg": "HS256", "k": "AAAA"}, "key.not_public"),
        ({"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": 7}, "key.malformed"),
        ({"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "enc"}, "key.unsuitable"),
        ({"kty": "RSA", "n": "AQAB", "e": "AQAB", "key_ops": "verify"}, "key.malformed"),
        ({"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "XS256"}, "algorithm.unknown"),
        ({"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "ES256"}, "algorithm.key_mismatch"),
        ({"kty": "EC", "crv": ["P-256"]}, "key.malformed"),
    ],
)
@pytest.mark.attack(25)
def test_one_malformed_key_that_takes_the_whole_set_with_it(broken: Any, reason: str, imports: Any) -> None:
    """The good key beside it stays usable, and the set says which one was skipped and why."""
    assert imports.public({"kid": "bad", **broken}) == reason


@pytest.mark.parametrize("member", [None, 7, "text", [], [{}], True])
@pytest.mark.attack(25)
def test_a_member_of_a_set_that_is_no_object(member: Any, signers: Any, server: Any, remote: Any) -> None:
    listed = [member, signers["ES256"].public.to_dict()]
    server.keys = listed
    for keys in (sw.JWKSet.from_dict({"keys": listed}), remote().fetch()):
        assert keys.find("k1").key_id == "k1"
        assert [(bad.index, bad.reason) for bad in keys.unusable] == [(0, "key.malformed")]


@pytest.mark.attack(25)
def test_an_unusable_key_is_not_found_and_nothing_stands_in_for_it(signers: Any, doors: Any) -> None:
    weak = {**without(signers["ES256"].public.to_dict(), "use"), "kid": "weak", "use": "enc"}
    keys = sw.JWKSet.from_dict({"keys": [weak, signers["ES256"].public.to_dict()]})
    with pytest.raises(sw.RejectedError) as caught:
        sw.verify_signature(forge({"alg": "ES256", "kid": "weak"}, sign=signers["ES256"].sign), keys)
    assert caught.value.reason == "key.not_found"
