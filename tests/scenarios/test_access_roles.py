"""What each role may do, over every route that the API describes; and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from running_service import RunningService

from sealwright.services.roles import ROLES as SERVICE_ROLES

OPEN = "open to everyone"
ANY = "any credential"
SOME_KEY = "no-such-kid"
SEGMENT = {"writer": "nobody", "first": 1, "last": 1, "digest": "0" * 64, "file": "f", "sha256": "0" * 64}

# Every route of the OpenAPI description, with the scope that it asks for and a body that gets past its shape.
ROUTES: dict[tuple[str, str], tuple[str, Any]] = {
    ("get", "/.well-known/jwks.json"): (OPEN, None),
    ("get", "/.well-known/openid-configuration"): (OPEN, None),
    ("get", "/issuers/{issuer}/.well-known/jwks.json"): (OPEN, None),
    ("get", "/issuers/{issuer}/.well-known/openid-configuration"): (OPEN, None),
    ("get", "/issuers/{issuer}/.well-known/oauth-authorization-server"): (OPEN, None),
    ("get", "/.well-known/oauth-authorization-server/issuers/{issuer}"): (OPEN, None),
    ("get", "/issuers/{issuer}/.well-known/revoked-keys"): (OPEN, None),
    ("get", "/issuers/{issuer}/.well-known/jwks-archive"): (OPEN, None),
    ("get", "/issuers/{issuer}/.well-known/trust-bundle"): (OPEN, None),
    ("get", "/issuers/{issuer}/status-lists/{list_id}"): (OPEN, None),
    ("get", "/.well-known/trust-root.jwks.json"): (OPEN, None),
    ("post", "/issuers/{issuer}/token"): (OPEN, None),  # to OAuth clients, which no credential makes one of
    ("get", "/v1/clients"): ("keys:read", None),
    ("post", "/v1/issuers/{issuer}/clients"): ("clients:write", {"client_id": "a", "audiences": ["b"]}),
    ("post", "/v1/issuers/{issuer}/clients/{client_id}/rotate-secret"): ("clients:write", {"reason": "test"}),
    ("post", "/v1/issuers/{issuer}/clients/{client_id}/remove"): ("clients:write", {"reason": "test"}),
    ("post", "/issuers/{issuer}/introspect"): ("tokens:introspect", None),
    ("post", "/issuers/{issuer}/revoke"): ("tokens:revoke", None),
    ("post", "/v1/issuers/{issuer}/tokens/{verb}"): ("tokens:revoke", {"jti": "a", "reason": "test"}),
    ("get", "/v1/issuers/{issuer}/tokens/revoked"): ("keys:read", None),
    ("post", "/v1/verify"): (OPEN, {"token": "a.b.c", "audience": "orders"}),
    ("post", "/v1/issuers/{issuer}/tokens"): ("tokens:issue", {"claims": {"sub": "a"}, "audience": "b"}),
    ("post", "/v1/issuers/{issuer}/tokens/batch"): (
        "tokens:issue",
        {"tokens": [{"claims": {"sub": "a"}, "audience": "b"}]},
    ),
    ("post", "/v1/issuers/{issuer}/sign"): ("payloads:sign", {"payload": "e30", "typ": "x+jws"}),
    ("post", "/v1/issuers/{issuer}/sign/batch"): ("payloads:sign", {"payloads": [{"payload": "e30", "typ": "x+jws"}]}),
    ("get", "/v1/keys"): ("keys:read", None),
    ("get", "/v1/keys/{key_id}/canary"): ("keys:read", None),
    ("post", "/v1/keys/{key_id}/hold"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/keys/{key_id}/revoke"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/keys/{key_id}/{verb}"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/issuers/{issuer}/keys"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/issuers/{issuer}/rotate"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/issuers/{issuer}/emergency-rotate"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/issuers/{issuer}/import"): ("keys:write", {"state": "standby", "reason": "test"}),
    ("get", "/v1/issuers"): ("keys:read", None),
    ("post", "/v1/config/plan"): ("keys:read", {"issuers": {}}),
    ("post", "/v1/config/apply"): ("keys:write", {"issuers": {}, "reason": "test"}),
    ("post", "/v1/issuers/{issuer}/rollout/start"): ("keys:write", {"algorithm": "RS256", "reason": "test"}),
    ("post", "/v1/issuers/{issuer}/rollout/set"): ("keys:write", {"percent": 1, "reason": "test"}),
    ("post", "/v1/issuers/{issuer}/rollout/back"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/issuers/{issuer}/rollout/finish"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/issuers/{issuer}/rollout/abort"): ("keys:write", {"reason": "test"}),
    ("get", "/v1/plan"): ("keys:read", None),
    ("get", "/v1/fleet"): ("keys:read", None),
    ("post", "/v1/verifiers/poll"): ("verifiers:poll", None),
    ("post", "/v1/keys/{key_id}/rehearse"): ("keys:write", {"reason": "test"}),
    ("get", "/v1/keys/{key_id}/rehearsal"): ("keys:read", None),
    ("get", "/v1/keys/{key_id}/enforcement"): ("keys:read", None),
    ("get", "/v1/orphans"): ("keys:read", None),
    ("get", "/v1/backends"): ("keys:read", None),
    ("post", "/v1/kek/rotate"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/secrets/{issuer}"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/secrets/{issuer}/rotate"): ("keys:write", {"reason": "test"}),
    ("post", "/v1/secrets/{issuer}/sign"): ("payloads:sign", {"payload": "e30", "typ": "x+jws"}),
    ("post", "/v1/secrets/{issuer}/verify"): ("payloads:sign", {"token": "a.b.c"}),
    ("post", "/v1/secrets/keys/{key_id}/reveal"): ("secrets:reveal", {"reason": "test"}),
    ("get", "/v1/audit"): ("audit:read", None),
    ("get", "/v1/audit/chains"): ("audit:read", None),
    ("get", "/v1/audit/trust-roots"): ("audit:read", None),
    ("post", "/v1/audit/checkpoint"): ("audit:archive", {"reason": "test"}),
    ("post", "/v1/audit/archive"): ("audit:archive", {"segments": [SEGMENT], "reason": "test"}),
    ("post", "/v1/audit/prune"): ("audit:archive", None),
    ("post", "/v1/credentials"): ("credentials:issue", {"subject": "x", "roles": ["operator"]}),
    ("post", "/v1/credentials/renew"): (ANY, None),
    ("get", "/v1/credentials/denied"): ("credentials:issue", None),
    ("post", "/v1/credentials/deny"): ("credentials:issue", {"subject": "nobody", "reason": "test"}),
    ("post", "/v1/credentials/allow"): ("credentials:issue", {"subject": "nobody", "reason": "test"}),
    ("get", "/v1/approvals"): ("keys:read", None),
    ("post", "/v1/approvals/{approval_id}/grant"): ("approvals:grant", None),
    ("post", "/v1/approvals/{approval_id}/deny"): ("approvals:grant", {"reason": "test"}),
}
ROLES = {
    "operator": {
        *("keys:read", "keys:write", "credentials:issue", "metrics:read"),
        *("tokens:revoke", "tokens:introspect", "clients:write"),
    },
    "signer": {"tokens:issue", "payloads:sign"},
    "approver": {"keys:read", "approvals:grant"},
    "auditor": {"keys:read", "audit:read", "metrics:read"},
    "archivist": {"audit:read", "audit:archive"},
    "custodian": {"keys:read", "secrets:reveal"},
    "verifier": {"verifiers:poll"},
    "revoker": {"tokens:revoke", "tokens:introspect"},
    "resource": {"tokens:introspect"},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    environment = {
        "SEALWRIGHT_DENIED_CALLS_BURST": "10000",
        "SEALWRIGHT_ISSUERS": '{"default": "ES256", "payments": "ES256", "orders": "ES256"}',
    }
    running = RunningService(tmp_path_factory.mktemp("roles") / "data", environment)
    yield running
    running.kill()


def credential(service: RunningService, subject: str, *roles: str, issuers: tuple[str, ...] = ()) -> str:
    body = {"subject": subject, "roles": list(roles), "issuers": list(issuers)}
    answer = service.request("POST", "/v1/credentials", body)
    assert answer.status == 201, answer.body
    return str(answer.json()["token"])


def call(service: RunningService, route: tuple[str, str], token: str | None, issuer: str = "default") -> Any:
    method, template = route
    path = template.format(issuer=issuer, key_id=SOME_KEY, verb="retire", approval_id="none", list_id=0, client_id="a")
    return service.request(method.upper(), path, ROUTES[route][1], credential=token)


def described(service: RunningService) -> set[tuple[str, str]]:
    page = service.request("GET", "/openapi.json").json()
    return {(method, path) for path, methods in page["paths"].items() for method in methods}


def test_every_route_that_is_described_is_in_the_table(service: RunningService) -> None:
    """A new route is added to the table with the scope that it asks for."""
    assert described(service) == ROUTES.keys()


def test_nobody_does_anything_without_a_credential_but_on_the_open_pages(service: RunningService) -> None:
    for route, (scope, _) in ROUTES.items():
        status = call(service, route, None).status
        assert (status == 401) == (scope != OPEN), route


@pytest.mark.parametrize("role", ROLES)
def test_a_role_does_its_own_and_nothing_else(service: RunningService, role: str) -> None:
    token = credential(service, f"a-{role}", role)
    for route, (scope, _) in ROUTES.items():
        answer = call(service, route, token)
        if scope in (OPEN, ANY) or scope in ROLES[role]:
            assert answer.status not in (401, 403), (route, answer.body)
        else:
            assert (answer.status, answer.json()["reason"]) == (403, "claims.scope"), route
            assert f'scope="{scope}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_for_one_issuer_ends_at_that_issuer(service: RunningService, role: str) -> None:
    token = credential(service, f"one-{role}", role, issuers=("payments",))
    for route, (scope, _) in ROUTES.items():
        if "{issuer}" in route[1] and scope in ROLES[role]:
            assert call(service, route, token, "payments").status not in (401, 403), route
            for other in ("default", "orders", "internal"):
                assert call(service, route, token, other).status == 403, (route, other)
        elif any(parameter in route[1] for parameter in ("{key_id}", "{approval_id}")):
            assert call(service, route, token).status == 403, route  # whose they are is not known


def test_the_issuer_of_a_key_decides_and_not_what_the_request_says(service: RunningService) -> None:
    token = credential(service, "payments-operator", "operator", issuers=("payments",))
    theirs, ours = service.keys("orders")["active"][0], service.keys("payments")["active"][0]
    for query in ("", "?issuer=payments"):
        answer = service.request("POST", f"/v1/keys/{theirs}/retire{query}", {"reason": "test"}, credential=token)
        assert answer.status == 403
    answer = service.request("POST", f"/v1/keys/{ours}/retire", {"reason": "test"}, credential=token)
    assert answer.json()["reason"] == "guard.active_key"  # let through, and refused by a guard
    answer = service.request(
        "POST", "/v1/credentials/deny?issuer=payments", {"subject": "a", "reason": "t"}, credential=token
    )
    assert answer.status == 403


def test_lists_show_only_the_issuers_that_one_may_read(service: RunningService) -> None:
    token = credential(service, "payments-auditor", "auditor", issuers=("payments",))
    keys = service.request("GET", "/v1/keys", credential=token).json()["keys"]
    assert {key["issuer"] for key in keys} == {"payments"}
    assert service.request("GET", "/v1/keys?issuer=orders", credential=token).status == 403
    assert service.request("GET", "/v1/keys?issuer=payments&issuer=orders", credential=token).status == 403
    entries = service.request("GET", "/v1/audit", credential=token).json()["entries"]
    assert {entry["issuer"] for entry in entries} == {"payments"}


def test_nobody_gives_what_they_do_not_hold(service: RunningService) -> None:
    operator = credential(service, "alice", "operator")
    narrow = credential(service, "bob", "operator", issuers=("payments",))
    cases: list[tuple[str, dict[str, Any], int]] = [
        (operator, {"roles": ["operator"]}, 201),
        (operator, {"roles": ["operator"], "issuers": ["payments"]}, 201),
        (operator, {"roles": ["signer"]}, 403),
        (operator, {"roles": ["operator", "approver"]}, 403),
        (narrow, {"roles": ["operator"], "issuers": ["payments"]}, 201),
        (narrow, {"roles": ["operator"]}, 403),
        (narrow, {"roles": ["operator"], "issuers": ["payments", "orders"]}, 403),
    ]
    for token, wanted, expected in cases:
        answer = service.request("POST", "/v1/credentials", {"subject": "carol", **wanted}, credential=token)
        assert answer.status == expected, (wanted, answer.body)


@pytest.mark.parametrize("subject", ["operator", "sealwright", "cli:root", "two words", "", "x" * 101])
def test_names_of_the_service_itself_are_given_to_nobody(service: RunningService, subject: str) -> None:
    answer = service.request("POST", "/v1/credentials", {"subject": subject, "roles": ["signer"]})
    assert (answer.status, answer.json()["reason"]) == (400, "request.malformed")


def test_a_credential_lives_for_a_quarter_of_an_hour_at_most(service: RunningService) -> None:
    body = {"subject": "dave", "roles": ["signer"], "lifetime_s": 901}
    assert service.request("POST", "/v1/credentials", body).json()["reason"] == "guard.lifetime"
    issued = service.request("POST", "/v1/credentials", {**body, "lifetime_s": 60})
    assert (issued.json()["expires_in"], issued.headers["cache-control"]) == (60, "no-store")


def test_the_roles_of_the_table_are_those_of_the_service() -> None:
    assert {name: set(scopes) for name, scopes in SERVICE_ROLES.items()} == ROLES
