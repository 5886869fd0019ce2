"""The HTTP API from the outside: publication, tokens, key life, credentials."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from running_service import RunningService, eventually

import sealwright as sw


def test_the_jwks_page_is_cacheable_and_conditional(service: RunningService) -> None:
    page = service.request("GET", "/issuers/default/.well-known/jwks.json", credential=None)
    assert page.status == 200
    assert page.headers["content-type"] == "application/jwk-set+json"
    assert page.headers["cache-control"] == "public, max-age=300, must-revalidate"
    again = service.request(
        "GET",
        "/issuers/default/.well-known/jwks.json",
        credential=None,
        headers={"If-None-Match": page.headers["etag"]},
    )
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == page.headers["etag"]


def test_published_keys_have_kid_alg_and_use_and_nothing_private(service: RunningService) -> None:
    keys = service.request("GET", "/.well-known/jwks.json", credential=None).json()["keys"]
    assert len(keys) == 2
    for key in keys:
        assert key["kid"] == sw.PublicJWK.from_dict(key).thumbprint()
        assert (key["use"], key["alg"]) == ("sig", "ES256")
        assert not {"d", "k", "p", "q", "priv"} & key.keys()


def test_browsers_of_other_origins_may_read_the_well_known_pages(service: RunningService) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    page = service.request("GET", "/.well-known/jwks.json", credential=None, headers=headers)
    assert page.headers["access-control-allow-origin"] == "*"


def test_discovery_names_the_issuer_and_the_algorithms_in_use(service: RunningService) -> None:
    page = service.request("GET", "/.well-known/openid-configuration", credential=None).json()
    assert page["issuer"] == f"{service.url}/issuers/default"
    assert page["jwks_uri"] == f"{service.url}/issuers/default/.well-known/jwks.json"
    assert page["id_token_signing_alg_values_supported"] == ["ES256"]
    below = service.request("GET", "/issuers/default/.well-known/openid-configuration", credential=None)
    assert below.json() == page


def test_the_root_pages_never_show_the_keys_of_other_issuers(service: RunningService) -> None:
    made = service.request("POST", "/v1/issuers/partner/keys", {"algorithm": "EdDSA", "reason": "test"})
    assert made.status == 201
    root = service.request("GET", "/.well-known/jwks.json", credential=None).json()["keys"]
    partner = service.request("GET", "/issuers/partner/.well-known/jwks.json", credential=None).json()["keys"]
    assert {key["kid"] for key in partner} == {key["key_id"] for key in made.json()["keys"]}
    assert not {key["kid"] for key in root} & {key["kid"] for key in partner}


def test_a_token_has_the_claims_of_rfc_9068(service: RunningService) -> None:
    body = {"claims": {"sub": "alice", "scope": "read"}, "audience": ["orders", "bills"], "lifetime_s": 120}
    issued = service.request("POST", "/v1/issuers/default/tokens", body).json()
    jws = sw.verify_signature(
        issued["token"], sw.JWKSet.from_dict(service.request("GET", "/.well-known/jwks.json").json())
    )
    claims = jws.json()
    assert jws.header.type == "at+jwt"
    assert jws.key_id == issued["key_id"]
    assert claims["iss"] == f"{service.url}/issuers/default"
    assert (claims["aud"], claims["sub"], claims["client_id"]) == (["orders", "bills"], "alice", "operator")
    assert claims["exp"] - claims["iat"] == 120 == issued["expires_in"]
    assert claims["jti"]


def test_any_bytes_can_be_signed_under_a_type_of_their_own(service: RunningService) -> None:
    payload = base64.urlsafe_b64encode(bytes(range(256))).rstrip(b"=").decode()
    answer = service.request("POST", "/v1/issuers/default/sign", {"payload": payload, "typ": "blob+jws"})
    keys = sw.JWKSet.from_dict(service.request("GET", "/.well-known/jwks.json").json())
    jws = sw.verify_signature(answer.json()["token"], keys)
    assert (answer.status, jws.payload, jws.header.type) == (201, bytes(range(256)), "blob+jws")


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "application/at+jwt", "secevent+JWT", ""])
def test_the_sign_call_never_makes_a_jwt(service: RunningService, typ: str) -> None:
    answer = service.request("POST", "/v1/issuers/default/sign", {"payload": "e30", "typ": typ})
    assert (answer.status, answer.json()["reason"]) == (400, "header.type")


def test_nobody_gets_a_token_of_the_internal_issuer(service: RunningService) -> None:
    for path, body in (
        ("tokens", {"claims": {"sub": "eve", "scope": "keys:write"}, "audience": service.url}),
        ("sign", {"payload": "e30", "typ": "x+jws"}),
    ):
        answer = service.request("POST", f"/v1/issuers/internal/{path}", body)
        assert (answer.status, answer.json()["reason"]) == (400, "issuer.unknown")


def test_a_token_of_another_issuer_is_no_credential(service: RunningService) -> None:
    token = service.token(audience=service.url, scope="keys:read keys:write tokens:issue")
    answer = service.request("GET", "/v1/keys", credential=token)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_missing_credential_gets_a_challenge_without_an_error_code(service: RunningService) -> None:
    for method, path in (
        ("GET", "/v1/keys"),
        ("POST", "/v1/issuers/default/tokens"),
        ("POST", "/v1/issuers/default/sign"),
        ("POST", "/v1/issuers/default/rotate"),
        ("POST", "/v1/issuers/default/emergency-rotate"),
        ("POST", "/v1/issuers/default/keys"),
        ("POST", "/v1/keys/any/revoke"),
        ("POST", "/v1/keys/any/retire"),
    ):
        answer = service.request(method, path, {} if method == "POST" else None, credential=None)
        assert answer.status == 401, path
        assert answer.json()["reason"] == "credential.missing"
        assert "error=" not in answer.headers["www-authenticate"]


def test_the_open_pages_need_no_credential(service: RunningService) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known/jwks.json"):
        assert service.request("GET", path, credential=None).status == 200, path


def test_metrics_count_decisions_and_signatures_by_issuer_and_reason(service: RunningService) -> None:
    token = service.token()
    service.decide(token)
    service.decide(token, audience="elsewhere")
    text = service.request("GET", "/metrics", credential=None).body.decode()
    assert 'reason="claims.audience"' in text
    assert 'issuer="default"' in text
    assert "jws_sign_duration_seconds_bucket" in text
    assert "jws_verify_duration_seconds_bucket" in text


def test_openapi_describes_every_route(service: RunningService) -> None:
    page = service.request("GET", "/openapi.json", credential=None).json()
    assert page["openapi"].startswith("3.1")
    assert {
        "/v1/verify",
        "/v1/keys",
        "/v1/issuers/{issuer}/tokens",
        "/v1/issuers/{issuer}/sign",
        "/v1/issuers/{issuer}/keys",
        "/v1/issuers/{issuer}/rotate",
        "/v1/issuers/{issuer}/emergency-rotate",
        "/v1/keys/{key_id}/revoke",
        "/issuers/{issuer}/.well-known/jwks.json",
    } <= page["paths"].keys()


def test_after_a_rotation_old_and_new_tokens_verify(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    old = service.token()
    before = service.keys()
    rotated = service.request("POST", "/v1/issuers/default/rotate", {"reason": "test"})
    assert rotated.status == 200, rotated.body
    after = service.keys()
    assert after["active"] == before["standby"]
    assert after["verify_only"] == before["active"]
    assert len(after["standby"]) == 1
    new = service.token()
    assert service.decide(old)["outcome"] == service.decide(new)["outcome"] == "accepted"
    assert service.decide(new)["key_id"] == before["standby"][0]


def test_a_second_rotation_waits_for_the_dwell_and_can_be_forced(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    assert service.request("POST", "/v1/issuers/default/rotate").status == 200
    refused = service.request("POST", "/v1/issuers/default/rotate")
    assert (refused.status, refused.json()["reason"], refused.json()["guard"]) == (409, "guard.dwell", "dwell")
    forced = service.request("POST", "/v1/issuers/default/rotate", {"reason": "drill", "force": True})
    assert forced.status == 200


def test_a_revoked_key_is_refused_at_once(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    token = service.token()
    kid = service.keys()["active"][0]
    refused = service.request("POST", f"/v1/keys/{kid}/revoke", {"reason": "leak"})
    assert (refused.status, refused.json()["reason"]) == (409, "guard.active_key")
    service.request("POST", "/v1/issuers/default/rotate")
    assert service.decide(token)["outcome"] == "accepted"
    assert service.request("POST", f"/v1/keys/{kid}/revoke", {"reason": "leak"}).status == 200
    assert service.decide(token)["reason"] == "key.revoked"
    assert kid not in service.request("GET", "/.well-known/jwks.json").body.decode()
    assert service.decide(service.token())["outcome"] == "accepted"


def test_an_emergency_rotation_refuses_the_old_key_and_goes_on_signing(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    token, before = service.token(), service.keys()
    answer = service.request("POST", "/v1/issuers/default/emergency-rotate", {"reason": "key leaked"})
    assert answer.status == 200, answer.body
    after = service.keys()
    assert (after["active"], after["revoked"]) == (before["standby"], before["active"])
    assert len(after["standby"]) == 1
    assert service.decide(token)["reason"] == "key.revoked"
    assert service.decide(service.token())["outcome"] == "accepted"


def test_an_emergency_rotation_of_the_internal_issuer_renews_the_operator_credential(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    stolen = (service.home / "operator.token").read_text().strip()
    answer = service.request("POST", "/v1/issuers/internal/emergency-rotate", {"reason": "credential leaked"})
    assert answer.status == 200
    assert service.request("GET", "/v1/keys", credential=stolen).status == 401
    eventually(lambda: service.request("GET", "/v1/keys").status == 200, "the operator credential is renewed")


def test_a_reason_is_asked_for_what_cannot_be_undone(service: RunningService) -> None:
    kid = service.keys()["standby"][0]
    for path in (f"/v1/keys/{kid}/revoke", "/v1/issuers/default/emergency-rotate"):
        answer = service.request("POST", path, {})
        assert (answer.status, answer.json()["reason"]) == (400, "request.malformed")


def test_unknown_keys_and_issuers_are_not_found(service: RunningService) -> None:
    for method, path, body in (
        ("POST", "/v1/keys/nope/retire", {}),
        ("POST", "/v1/issuers/nope/rotate", {}),
        ("GET", "/v1/keys?issuer=nope", None),
        ("GET", "/issuers/nope/.well-known/jwks.json", None),
        ("POST", "/v1/issuers/nope/tokens", {"claims": {"sub": "a"}, "audience": "b"}),
        ("GET", "/nowhere", None),
    ):
        answer = service.request(method, path, body)
        assert answer.status == 404, path
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_service_verifies_tokens_of_a_configured_foreign_issuer(
    start_service: Callable[..., RunningService], service: RunningService
) -> None:
    foreign = f"{service.url}/issuers/default"
    trusted = json.dumps({foreign: f"{foreign}/.well-known/jwks.json"})
    here = start_service(SEALWRIGHT_TRUSTED_ISSUERS=trusted)
    decision = here.decide(service.token())
    assert (decision["outcome"], decision["issuer"]) == ("accepted", foreign)
    assert service.decide(here.token())["reason"] == "issuer.unknown"
