"""What else a JWK says of itself: its times, its revocation, its thumbprint."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

import sealwright as sw
from sealwright.clock import ManualClock

NOW = 1_700_000_000
ISSUER = "https://id.example"
# RFC 7638 §3.1
RFC_KEY = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
    "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5"
    "hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
RFC_THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_thumbprint_is_the_one_of_rfc_7638() -> None:
    assert sw.PublicJWK.from_dict(RFC_KEY).thumbprint() == RFC_THUMBPRINT


def test_the_thumbprint_uri_is_the_one_of_rfc_9278() -> None:
    uri = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:" + RFC_THUMBPRINT
    assert sw.PublicJWK.from_dict(RFC_KEY).thumbprint_uri() == uri


def test_times_and_other_members_do_not_change_the_thumbprint() -> None:
    changed = {**RFC_KEY, "exp": NOW, "revoked": {"revoked_at": NOW}, "kid": "other", "alg": "PS512"}
    assert sw.PublicJWK.from_dict(changed).thumbprint() == RFC_THUMBPRINT


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["1700000000", None, True, [], {}, math.nan, math.inf])
def test_a_time_that_is_no_number_is_refused(name: str, value: Any, refused: Any, signers: dict[str, Any]) -> None:
    refused("key.malformed", sw.PublicJWK.from_dict, {**RFC_KEY, name: value})
    refused("key.malformed", sw.PrivateJWK.from_dict, {**signers["ES256"].export_private_dict(), name: value})


@pytest.mark.parametrize(
    "value", [None, True, NOW, [], {}, {"revoked_at": None}, {"revoked_at": "now"}, {"reason": "x"}]
)
def test_a_revocation_without_its_time_is_refused(value: Any, refused: Any) -> None:
    refused("key.malformed", sw.PublicJWK.from_dict, {**RFC_KEY, "revoked": value})


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"exp": NOW}, "key.expired"),
        ({"exp": NOW - 0.5}, "key.expired"),
        ({"nbf": NOW + 1}, "key.not_yet_valid"),
        ({"nbf": 10**400}, "key.not_yet_valid"),
        ({"revoked": {"revoked_at": NOW - 1, "reason": "keyCompromise"}}, "key.revoked"),
        ({"revoked": {"revoked_at": NOW + 1}}, "key.revoked"),
        ({"revoked": {"revoked_at": NOW - 1}, "exp": NOW - 1}, "key.revoked"),
    ],
)
def test_a_key_outside_of_its_own_limits_is_not_usable(members: dict[str, Any], reason: str, refused: Any) -> None:
    key = sw.PublicJWK.from_dict({**RFC_KEY, **members})
    assert key.has_limits
    refused(reason, key.check_usable, NOW)


@pytest.mark.parametrize("members", [{}, {"iat": NOW + 9}, {"exp": NOW + 1}, {"nbf": NOW}, {"exp": 10**400}])
def test_a_key_within_its_own_limits_is_usable(members: dict[str, Any]) -> None:
    key = sw.PublicJWK.from_dict({**RFC_KEY, **members})
    key.check_usable(NOW)
    assert key.has_limits is bool(members.keys() & {"exp", "nbf"})


def test_the_limits_of_a_private_key_are_published_with_it(signers: dict[str, Any]) -> None:
    members = {"nbf": NOW, "exp": NOW + 1, "iat": NOW}
    key = sw.PrivateJWK.from_dict({**signers["ES256"].export_private_dict(), **members})
    assert key.public.to_dict().items() >= members.items()
    assert key.export_private_dict().items() >= members.items()


@pytest.mark.parametrize("with_alg", [True, False])
def test_a_verifier_follows_the_limits_of_a_key_by_its_own_clock(with_alg: bool, signers: dict[str, Any]) -> None:
    members = {**signers["ES256"].public.to_dict(), "nbf": NOW + 100, "exp": NOW + 200}
    if not with_alg:
        del members["alg"]
    clock = ManualClock(NOW)
    token = sw.sign_claims(
        {"iat": NOW}, signers["ES256"], issuer=ISSUER, audience="orders", lifetime_s=900, clock=clock
    )
    keys = sw.JWKSet.from_dict({"keys": [members]})
    with sw.Verifier(issuer=ISSUER, audience="orders", keys=keys, clock=clock) as verifier:
        assert verifier.decide(token).reason == "key.not_yet_valid"
        clock.advance(100)
        assert verifier.decide(token).outcome == "accepted"
        clock.advance(100)
        assert verifier.decide(token).reason == "key.expired"


def test_a_verifier_refuses_the_tokens_of_a_key_that_says_it_is_revoked(signers: dict[str, Any]) -> None:
    members = {**signers["ES256"].public.to_dict(), "revoked": {"revoked_at": 1}}
    token = sw.sign_claims({}, signers["ES256"], issuer=ISSUER, audience="orders", lifetime_s=900)
    with sw.Verifier(issuer=ISSUER, audience="orders", keys=sw.PublicJWK.from_dict(members)) as verifier:
        assert verifier.decide(token).reason == "key.revoked"
        assert asyncio.run(verifier.adecide(token)).reason == "key.revoked"
