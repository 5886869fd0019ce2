"""The composed application, asked without a network: what callers from elsewhere may see, and faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_callers import call_asgi
from starlette.applications import Starlette

from sealwright.services.credentials import OPERATOR_SCOPES
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.together import build_app
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import OwnedFolder
from sealwright.wiring.single_process import SingleProcess
from sealwright.wiring.starting import open_single_process

LOOPBACK, ELSEWHERE = "127.0.0.1", "192.0.2.7"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[SingleProcess]:
    settings = ServiceSettings(home=tmp_path / "data")
    with OwnedFolder(settings.home) as owned, open_single_process(settings, owned) as opened:
        yield opened


@pytest.fixture
def app(process: SingleProcess) -> Starlette:
    return build_app(process, KeyOperations(process, "test"))


def ask(
    app: Any, path: str, client: str, *, token: str | None = None, method: str = "GET", body: bytes = b""
) -> tuple[int, bytes]:
    lines = [("host", "here"), *([("authorization", f"Bearer {token}")] if token else [])]
    answered = call_asgi(app, method, path, lines, body=body, client=(client, 50000))
    return answered.status, answered.body


@pytest.mark.parametrize("path", ["/metrics", "/openapi.json"])
def test_operator_pages_are_for_loopback_or_a_credential(app: Starlette, process: SingleProcess, path: str) -> None:
    operators = KeyOperations(process, "test")
    reader = operators.issue_operator_credential("prometheus", ["metrics:read"])["token"]
    writer = operators.issue_operator_credential("operator", ["keys:write"])["token"]
    assert ask(app, path, LOOPBACK)[0] == 200
    assert ask(app, path, ELSEWHERE)[0] == 401
    assert ask(app, path, ELSEWHERE, token=reader)[0] == 200
    assert ask(app, path, ELSEWHERE, token=writer)[0] == 403


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/.well-known/jwks.json"])
def test_open_pages_are_for_everyone(app: Starlette, path: str) -> None:
    assert ask(app, path, ELSEWHERE)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/keys", "keys:read"),
        ("GET", "/v1/audit", "audit:read"),
        ("GET", "/v1/audit/chains", "audit:read"),
        ("GET", "/v1/audit/trust-roots", "audit:read"),
        ("POST", "/v1/audit/checkpoint", "audit:archive"),
        ("POST", "/v1/audit/archive", "audit:archive"),
        ("POST", "/v1/audit/prune", "audit:archive"),
        ("POST", "/v1/issuers/default/rotate", "keys:write"),
        ("POST", "/v1/issuers/default/emergency-rotate", "keys:write"),
        ("POST", "/v1/issuers/default/keys", "keys:write"),
        ("POST", "/v1/keys/any/revoke", "keys:write"),
        ("POST", "/v1/keys/any/retire", "keys:write"),
        ("POST", "/v1/issuers/default/tokens", "tokens:issue"),
        ("POST", "/v1/issuers/default/tokens/batch", "tokens:issue"),
        ("POST", "/v1/issuers/default/sign", "payloads:sign"),
        ("POST", "/v1/issuers/default/sign/batch", "payloads:sign"),
    ],
)
def test_each_route_needs_its_own_scope_and_no_other_will_do(
    app: Starlette, process: SingleProcess, method: str, path: str, scope: str
) -> None:
    operators = KeyOperations(process, "test")
    others = [name for name in OPERATOR_SCOPES if name != scope]
    narrow = operators.issue_operator_credential("narrow", others)["token"]
    status, body = ask(app, path, LOOPBACK, token=narrow, method=method)
    assert (status, json.loads(body)["reason"]) == (403, "claims.scope")
    enough = operators.issue_operator_credential("enough", [scope])["token"]
    assert ask(app, path, LOOPBACK, token=enough, method=method)[0] not in (401, 403)


def test_a_revoked_operator_key_is_refused_in_the_same_instant(app: Starlette, process: SingleProcess) -> None:
    operators = KeyOperations(process, "test")
    token = operators.issue_operator_credential("operator", OPERATOR_SCOPES)["token"]
    assert ask(app, "/v1/keys", LOOPBACK, token=token)[0] == 200
    operators.emergency_rotate("internal", key_id=None, reason="leaked")
    status, body = ask(app, "/v1/keys", LOOPBACK, token=token)
    assert (status, json.loads(body)["reason"]) == (401, "key.revoked")
