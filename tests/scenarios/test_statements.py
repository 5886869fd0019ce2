"""What the trust root signs, as a stranger sees it: the feed of revoked keys and the archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from running_service import SHORT_TIMINGS, RunningService

import sealwright as sw
from sealwright.statements.trust_bundle import parse_bundle
from sealwright.trust.sources.bundle import BundleKeys
from sealwright.trust.trust_root import TrustRoot


def page(service: RunningService, name: str) -> Any:
    answer = service.request("GET", f"/issuers/default/.well-known/{name}", credential=None)
    assert answer.status == 200, answer.body
    return answer


def root(service: RunningService) -> sw.JWKSet:
    answer = service.request("GET", "/.well-known/trust-root.jwks.json", credential=None)
    return sw.JWKSet.from_dict(answer.json())


def statement(service: RunningService, name: str) -> dict[str, Any]:
    return dict(sw.verify_signature(page(service, name).body, root(service)).json())


def test_the_feed_and_the_archive_change_with_an_emergency(start_service: Callable[..., RunningService]) -> None:
    service = start_service(**SHORT_TIMINGS)
    before = statement(service, "revoked-keys")
    assert before["revoked"] == []
    assert before["iss"] == f"{service.url}/issuers/default"
    assert before["exp"] - before["iat"] == 300
    leaked = service.keys()["active"][0]
    token = service.token()
    assert service.cli("keys", "emergency-rotate", "--reason", "laptop stolen").returncode == 0
    after = statement(service, "revoked-keys")
    assert after["seq"] > before["seq"]
    assert [(key["kid"], key["reason"]) for key in after["revoked"]] == [(leaked, "compromised")]
    assert leaked not in service.request("GET", "/.well-known/jwks.json", credential=None).body.decode()
    assert service.decide(token)["reason"] == "key.revoked"
    (old,) = statement(service, "jwks-archive")["keys"]
    assert old["kid"] == leaked
    assert old["nbf"] <= old["exp"] == old["revoked"]["revoked_at"]
    assert "laptop" not in page(service, "jwks-archive").body.decode()


def test_a_stock_library_verifies_the_statements(service: RunningService) -> None:
    keys = jwt.PyJWKSet.from_dict(root(service).to_dict())
    text = page(service, "revoked-keys").body.decode()
    key = keys[jwt.get_unverified_header(text)["kid"]]
    assert jwt.get_unverified_header(text)["typ"] == "revoked-keys+jwt"
    issuer = f"{service.url}/issuers/default"
    assert jwt.decode(text, key, algorithms=["ES256"], issuer=issuer)["revoked"] == []


def test_the_trust_root_is_no_token_key(service: RunningService) -> None:
    tokens = service.request("GET", "/issuers/internal/.well-known/jwks.json", credential=None).json()
    assert not {key["kid"] for key in tokens["keys"]} & {key.key_id for key in root(service)}


def test_statements_are_conditional_and_those_of_strangers_are_not_there(service: RunningService) -> None:
    first = page(service, "jwks-archive")
    again = service.request(
        "GET",
        "/issuers/default/.well-known/jwks-archive",
        credential=None,
        headers={"If-None-Match": first.headers["etag"]},
    )
    assert again.status == 304
    assert service.request("GET", "/issuers/nobody/.well-known/revoked-keys", credential=None).status == 404


def test_the_trust_bundle_lists_what_counts_and_marks_what_was_revoked(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    service = start_service(**SHORT_TIMINGS)
    first = page(service, "trust-bundle")
    assert first.headers["content-type"] == "application/jwk-set+jwt"
    before = parse_bundle(sw.verify_signature(first.body, root(service)).json())
    published = service.request("GET", "/issuers/default/.well-known/jwks.json", credential=None).json()
    assert {key.key_id for key in before.keys} == {key["kid"] for key in published["keys"]}
    assert before.issuer == before.subject == f"{service.url}/issuers/default"
    source = BundleKeys(before.issuer, None, TrustRoot(root(service)), tmp_path)
    source.load(first.body)
    verifier, token = sw.Verifier(issuer=before.issuer, audience="orders", keys=source), service.token()
    assert verifier.decide(token).outcome == "accepted"
    leaked = service.keys()["active"][0]
    assert service.cli("keys", "emergency-rotate", "--reason", "laptop stolen").returncode == 0
    source.load(page(service, "trust-bundle").body)
    assert verifier.decide(token).reason == "key.revoked"
    with pytest.raises(sw.RejectedError) as caught:
        source.load(page(service, "jwks-archive").body)
    assert caught.value.reason == "statement.malformed"
    after = parse_bundle(statement(service, "trust-bundle"))
    assert after.sequence > before.sequence
    assert {key.key_id for key in after.keys if "revoked" in key.members} == {leaked}
