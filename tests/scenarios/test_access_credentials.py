"""Credentials from the outside: renewed, denied, forged, refused too often, and used by a command line elsewhere."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from command_here import run_here
from cryptography.hazmat.primitives.asymmetric import ec
from running_service import RunningService, clean_environment, eventually

from sealwright.jose.jwk import PublicJWK
from sealwright.jose.key_formats import write_public

UNLIMITED = {"SEALWRIGHT_DENIED_CALLS_BURST": "10000"}
Start = Callable[..., RunningService]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("credentials") / "data", UNLIMITED)
    yield running
    running.kill()


def issued(service: RunningService, subject: str, *roles: str, **more: Any) -> str:
    answer = service.request("POST", "/v1/credentials", {"subject": subject, "roles": list(roles), **more})
    assert answer.status == 201, answer.body
    return str(answer.json()["token"])


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def renew(service: RunningService, token: str) -> Any:
    return service.request("POST", "/v1/credentials/renew", credential=token)


def read(service: RunningService, token: str) -> Any:
    return service.request("GET", "/v1/keys", credential=token)


def denials(service: RunningService) -> list[dict[str, Any]]:
    entries = service.request("GET", "/v1/audit").json()["entries"]
    return [entry for entry in entries if entry["action"] in ("access.denied", "access.failed")]


def test_a_credential_is_renewed_with_the_same_rights_and_the_same_first_issue(service: RunningService) -> None:
    old = issued(service, "erin", "auditor", lifetime_s=30)
    new = renew(service, old)
    assert (new.status, new.headers["cache-control"]) == (201, "no-store")
    before, after = claims_of(old), claims_of(new.json()["token"])
    assert {n: before[n] for n in ("sub", "scope", "auth_time", "aud", "iss")} == {
        n: after[n] for n in ("sub", "scope", "auth_time", "aud", "iss")
    }
    assert after["exp"] - after["iat"] == 30
    assert after["jti"] != before["jti"]
    assert read(service, new.json()["token"]).status == 200


def test_a_credential_is_not_renewed_for_ever(start_service: Start) -> None:
    service = start_service(SEALWRIGHT_CREDENTIALS_RENEWABLE_S="4", **UNLIMITED)
    token = issued(service, "erin", "auditor", lifetime_s=600)
    renewed = renew(service, token).json()
    assert renewed["expires_in"] <= 4  # never beyond what was allowed at the first issue
    time.sleep(4)
    refused = renew(service, token)
    assert (refused.status, refused.json()["reason"]) == (409, "credential.renewal")
    assert read(service, token).status == 200  # it is still a credential


def test_a_credential_that_only_reports_is_renewed_for_as_long_as_its_holder_lives(start_service: Start) -> None:
    service = start_service(SEALWRIGHT_CREDENTIALS_RENEWABLE_S="4", **UNLIMITED)
    token = issued(service, "orders", "verifier", lifetime_s=600)
    time.sleep(5)
    renewed = renew(service, token).json()
    assert (renewed["expires_in"], renewed["renewable_s"]) == (600, None)
    assert claims_of(renewed["token"])["auth_time"] == claims_of(token)["auth_time"]
    assert service.request("POST", "/v1/credentials/deny", {"subject": "orders", "reason": "gone"}).status == 200
    assert renew(service, renewed["token"]).status == 401


def test_the_operator_credential_is_renewed_by_its_service_alone(service: RunningService) -> None:
    refused = renew(service, "operator")
    assert (refused.status, refused.json()["reason"]) == (409, "credential.renewal")


def test_a_denied_subject_is_refused_at_once_and_may_come_back(service: RunningService) -> None:
    token = issued(service, "frank", "auditor")
    assert read(service, token).status == 200
    denied = service.cli("credentials", "deny", "frank", "--reason", "left the team")
    assert denied.returncode == 0, denied.stderr
    eventually(lambda: read(service, token).status == 401, "the denial holds")
    assert read(service, token).json()["reason"] == "credential.denied"
    assert renew(service, token).status == 401
    again = service.request("POST", "/v1/credentials", {"subject": "frank", "roles": ["auditor"]})
    assert (again.status, again.json()["reason"]) == (409, "credential.denied")
    assert "left the team" in service.cli("credentials", "denied").stdout
    assert service.cli("credentials", "allow", "frank", "--reason", "a mistake").returncode == 0
    assert read(service, issued(service, "frank", "auditor")).status == 200


def test_the_operator_cannot_be_locked_out_by_a_denial(service: RunningService) -> None:
    answer = service.request("POST", "/v1/credentials/deny", {"subject": "operator", "reason": "take over"})
    assert (answer.status, answer.json()["reason"]) == (400, "request.malformed")
    assert read(service, "operator").status == 200


def test_refused_calls_are_audited_with_the_route_and_never_with_the_path_or_the_token(service: RunningService) -> None:
    token = issued(service, "grace", "signer")
    secret = "what-a-stranger-wrote"
    service.request("POST", f"/v1/keys/{secret}/retire", {}, credential=token)
    service.request("POST", f"/v1/issuers/{secret}/tokens", {}, credential="a.b.c")
    service.request("POST", "/v1/issuers/nowhere/tokens", {"claims": {"sub": "a"}, "audience": "b"}, credential=token)
    known, unknown, failed = denials(service)[-3:]
    assert (known["action"], known["actor"], known["reason"]) == ("access.denied", "grace", "claims.scope")
    assert known["facts"]["route"] == "POST /v1/keys/{key_id}/{verb}"
    assert known["facts"]["client"] == "127.0.0.1"
    assert (unknown["actor"], unknown["facts"]["route"]) == ("unknown", "POST /v1/issuers/{issuer}/tokens")
    assert (failed["action"], failed["actor"]) == ("access.failed", "grace")
    assert failed["reason"] == "move.unknown_issuer"
    everything = json.dumps(service.request("GET", "/v1/audit").json())
    assert secret not in everything
    assert token.split(".")[1] not in everything


def test_a_subject_that_only_a_forged_token_claims_is_not_in_the_audit(service: RunningService) -> None:
    read(service, forged(service, issued(service, "heidi", "auditor"), sub="ceo"))
    assert denials(service)[-1]["actor"] == "unknown"


def test_too_many_refused_calls_are_429_while_good_callers_of_the_same_address_are_served(start_service: Start) -> None:
    service = start_service(SEALWRIGHT_DENIED_CALLS_BURST="5", SEALWRIGHT_DENIED_CALLS_PER_S="0.2")
    answers = [read(service, "a.b.c") for _ in range(30)]
    assert [answer.status for answer in answers[:5]] == [401] * 5
    late = answers[-1]
    assert (late.status, late.json()["reason"], late.headers["retry-after"]) == (429, "request.too_many", "5")
    assert late.headers["content-type"] == "application/problem+json"
    assert read(service, "operator").status == 200
    assert read(service, issued(service, "ivan", "auditor")).status == 200
    assert len(denials(service)) <= 5 + 3  # what was earned meanwhile
    eventually(lambda: read(service, "a.b.c").status == 401, "the address is heard again")
    assert denials(service)[-1]["facts"]["suppressed"] >= 20


def forged(service: RunningService, genuine: str, key: Any = None, alg: str = "ES256", **changed: Any) -> str:
    """What an attacker signs who has seen a credential, by PyJWT and with a key of their own."""
    header = jwt.get_unverified_header(genuine)
    private = key or ec.generate_private_key(ec.SECP256R1())
    return jwt.encode({**claims_of(genuine), **changed}, private, alg, {"kid": header["kid"], "typ": header["typ"]})


def by_hand(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    def written(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    return ".".join([written(json.dumps(header).encode()), written(json.dumps(claims).encode()), written(signature)])


def test_forged_credentials_are_refused(service: RunningService) -> None:
    genuine = issued(service, "judy", "auditor")
    header, claims = jwt.get_unverified_header(genuine), claims_of(genuine)
    wider = {**claims, "scope": "keys:write keys:read"}
    page = service.request("GET", "/issuers/internal/.well-known/jwks.json", credential=None).json()
    public = next(key for key in page["keys"] if key["kid"] == header["kid"])
    pem = write_public(PublicJWK.from_dict(public), form="pem")
    head, _, signature = genuine.split(".")
    swapped = f"{head}.{by_hand(header, wider).split('.')[1]}.{signature}"
    attacks = {
        "a key of the attacker": forged(service, genuine),
        "other claims under a genuine signature": swapped,
        "no signature": by_hand({**header, "alg": "none"}, wider),
        "an empty signature": by_hand(header, wider),
        "HMAC with the public key": hmac_signed(pem, header, wider),
        "HMAC with the public JWK": hmac_signed(json.dumps(public).encode(), header, wider),
        "a token of another type": forged(service, genuine).replace(head, by_hand({**header, "typ": "JWT"}, {})[:40]),
        "another kid": by_hand({**header, "kid": "nope"}, wider, b"x" * 64),
        "a key in the header": by_hand({**header, "jwk": public}, wider, b"x" * 64),
    }
    for name, token in attacks.items():
        answer = read(service, token)
        assert (answer.status, answer.headers["www-authenticate"][:6]) == (401, "Bearer"), name
    assert read(service, genuine).status == 200


def hmac_signed(secret: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """PyJWT refuses to sign with a public key, as it should; an attacker does it by hand."""
    import hashlib
    import hmac

    unsigned = by_hand({**header, "alg": "HS256"}, claims).removesuffix(".")
    return f"{unsigned}." + by_hand({}, {}, hmac.digest(secret, unsigned.encode(), hashlib.sha256)).split(".")[2]


def test_a_credential_of_another_service_is_refused(service: RunningService, start_service: Start) -> None:
    elsewhere = start_service(SEALWRIGHT_PUBLIC_URL=service.url)  # even one that calls itself by the same name
    token = issued(elsewhere, "mallory", "operator")
    assert read(elsewhere, token).status == 200
    assert read(service, token).status == 401


def test_a_command_line_elsewhere_uses_and_renews_a_credential_file(service: RunningService, tmp_path: Path) -> None:
    file = tmp_path / "auditor.token"
    made = service.cli(
        *("credentials", "issue", "--subject", "nina", "--role", "auditor", "--lifetime", "8s", "--out", str(file))
    )
    assert made.returncode == 0, made.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    first = file.read_text()
    assert first.strip() not in made.stdout
    environment = {
        **clean_environment(),
        "SEALWRIGHT_URL": service.url,
        "SEALWRIGHT_CREDENTIAL_FILE": str(file),
    }
    assert run_here("keys", "list", environment=environment).returncode == 0
    refused = run_here("keys", "rotate", "--reason", "try", environment=environment)
    assert (refused.returncode, "claims.scope" in refused.stderr) == (1, True)
    time.sleep(4.5)  # past half of its life
    assert run_here("keys", "list", environment=environment).returncode == 0
    assert file.read_text() != first
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_url_without_a_credential_file_is_a_wrong_setting(service: RunningService) -> None:
    done = run_here("keys", "list", environment={**clean_environment(), "SEALWRIGHT_URL": service.url})
    assert (done.returncode, "SEALWRIGHT_CREDENTIAL_FILE" in done.stderr) == (6, True)


def test_what_is_issued_without_a_service_is_good_for_the_service(start_service: Start, tmp_path: Path) -> None:
    service = start_service()
    port = service.port
    service.interrupt()
    made = service.cli("credentials", "issue", "--subject", "olga", "--role", "auditor", "--json")
    assert made.returncode == 0, made.stderr
    again = start_service(port=port)
    assert read(again, json.loads(made.stdout)["token"]).status == 200
