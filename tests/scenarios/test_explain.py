"""Explanations as a person sees them: from the command line, with and without a service, and over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

from command_here import run_here
from running_service import RunningService

import sealwright as sw

ISSUER = "https://id.example"


def test_inspect_explains_each_check_until_one_fails(tmp_path: Path) -> None:
    key = sw.PrivateJWK.generate("ES256")
    (tmp_path / "keys.json").write_text(json.dumps(sw.JWKSet([key.public]).to_dict()))
    token = sw.sign_claims({"sub": "alice"}, key, issuer=ISSUER, audience="bills", lifetime_s=900)
    options = ["inspect", "--explain", "--jwks", str(tmp_path / "keys.json"), "--issuer", ISSUER, "--audience"]
    refused = run_here(*options, "orders", stdin=token)
    assert refused.returncode == 1
    lines = refused.stdout.splitlines()
    assert lines[0].split() == ["CHECK", "EXPECTED", "FOUND", "RESULT"]
    assert [line.split()[-1] for line in lines[1:-1]] == ["ok"] * (len(lines) - 3) + ["claims.audience"]
    assert lines[-2].split() == ["audience", "orders", "bills", "claims.audience"]
    assert not [part for part in token.split(".") if part in refused.stdout]
    accepted = run_here(*options, "bills", "--json", stdin=token)
    assert accepted.returncode == 0
    assert {step["reason"] for step in json.loads(accepted.stdout)["steps"]} == {None}


def test_the_service_explains_when_asked(service: RunningService) -> None:
    token = service.token(scope="read")
    body = {"token": token, "audience": "orders", "scopes": ["write"], "explain": True}
    answer = service.request("POST", "/v1/verify", body, credential=None).json()
    assert (answer["outcome"], answer["reason"]) == ("rejected", "claims.scope")
    assert answer["steps"][-1] == {
        "check": "scopes of the call", "expected": "write", "found": "read", "reason": "claims.scope"
    }  # fmt: skip
    assert "steps" not in service.request("POST", "/v1/verify", body | {"explain": False}, credential=None).json()
    refused = service.request("POST", "/v1/verify", body | {"explain": "yes"}, credential=None)
    assert (refused.status, refused.json()["reason"]) == (400, "request.malformed")
    shown = service.cli("inspect", "--explain", "--audience", "orders", stdin=token)
    assert (shown.returncode, shown.stdout.splitlines()[-1]) == (0, "}")
    assert "signature" in shown.stdout


def test_options_of_an_explanation_do_nothing_without_it() -> None:
    refused = run_here("inspect", "--audience", "orders", stdin="a.b.c")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--explain" in refused.stderr
