"""Policies as code, from the outside: a file, what it would change, and the running service that lives by it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_here import run_here
from running_service import RunningService, run_cli

Start = Callable[..., RunningService]
ORDERS = """
[issuers.orders]
algorithm = "ES256"
owner = "Orders team"
pager = "orders-oncall"
runbook = "https://wiki.example/orders"
"""
DEFAULT = '[issuers.default]\nalgorithm = "ES256"\nowner = "Platform"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sealwright.toml"
    path.write_text(DEFAULT + ORDERS)
    return path


def config(service: RunningService, *verb: str) -> tuple[int, Any]:
    done = service.cli("config", *verb, "--json")
    return done.returncode, json.loads(done.stdout)


def issuer(service: RunningService, name: str) -> dict[str, Any]:
    return next(i for i in service.request("GET", "/v1/issuers").json()["issuers"] if i["issuer"] == name)


def entries(service: RunningService, action: str) -> list[dict[str, Any]]:
    found = service.request("GET", "/v1/audit").json()["entries"]
    return [entry for entry in found if entry["action"] == action]


def test_the_first_start_opens_the_issuers_of_the_file_under_its_policies(file: Path, start_service: Start) -> None:
    service = start_service()
    assert config(service, "plan")[0] == 0
    shown = issuer(service, "orders")
    assert (shown["owner"], shown["pager"], shown["policy"]) == ("Orders team", "orders-oncall", "applied")
    assert "Orders team" in service.cli("issuers").stdout
    metrics = service.request("GET", "/metrics").body.decode()
    assert 'sealwright_issuer_info{issuer="orders",owner="Orders team",pager="orders-oncall"' in metrics
    assert f"policies    as in {file}" in "".join(service.output)


def test_a_plan_shows_what_apply_then_does(file: Path, start_service: Start) -> None:
    service = start_service()
    file.write_text(DEFAULT + ORDERS + 'longest_token = "1m"\n[issuers.bills]\nalgorithm = "Ed25519"\nowner = "B"\n')
    code, plan = config(service, "plan")
    assert (code, [new["issuer"] for new in plan["issuers_to_open"]]) == (7, ["bills"])
    assert plan["changes"] == [{"issuer": "orders", "name": "longest_token", "now": 900.0, "file": 60.0}]
    assert issuer(service, "orders")["longest_token_s"] == 900

    done = service.cli("config", "apply", "--reason", "OPS-1")
    assert done.returncode == 0, done.stderr
    assert "longest_token: 900 → 60" in done.stdout
    assert config(service, "plan")[0] == 0
    (entry,) = [
        entry
        for entry in entries(service, "policy.applied")
        if entry["reason"] == "OPS-1" and entry["issuer"] == "orders"
    ]
    assert entry["facts"]["changes"] == {"longest_token": [900.0, 60.0]}
    assert service.decide(service.token("bills"))["outcome"] == "accepted"
    body = {"claims": {"sub": "a"}, "audience": "b", "lifetime_s": 61}
    refused = service.request("POST", "/v1/issuers/orders/tokens", body)
    assert (refused.status, refused.json()["reason"]) == (409, "guard.lifetime")


def test_what_the_file_leaves_out_stays_open_and_is_no_difference(file: Path, start_service: Start) -> None:
    service = start_service()
    file.write_text(DEFAULT)
    code, plan = config(service, "plan")
    assert (code, plan["not_in_file"]) == (0, ["orders"])
    assert service.cli("config", "apply").returncode == 0
    assert service.decide(service.token("orders"))["outcome"] == "accepted"
    assert issuer(service, "orders")["owner"] == "Orders team"


def test_a_start_warns_of_differences_and_changes_no_policy(file: Path, start_service: Start) -> None:
    start_service().interrupt()
    file.write_text(DEFAULT + ORDERS.replace("Orders team", "Another team") + 'rotation_period = "7d"\n')
    service = start_service()
    assert "policies    differ (sealwright config plan) from" in "".join(service.output)
    assert issuer(service, "orders")["owner"] == "Orders team"
    assert issuer(service, "orders")["rotation_period_s"] == 30 * 86_400


def test_an_issuer_from_before_the_file_is_adopted_by_apply_only(tmp_path: Path, start_service: Start) -> None:
    start_service().interrupt()
    (tmp_path / "sealwright.toml").write_text(DEFAULT)
    service = start_service()
    assert issuer(service, "default")["policy"] == "settings"
    assert {change["name"] for change in config(service, "plan")[1]["changes"]} == {"policy", "owner"}
    assert config(service, "apply")[0] == 0
    assert issuer(service, "default")["policy"] == "applied"


def test_an_open_issuer_changes_its_algorithm_by_no_file(file: Path, start_service: Start) -> None:
    service = start_service()
    file.write_text(DEFAULT.replace("Platform", "Other") + ORDERS.replace("ES256", "Ed25519"))
    code, plan = config(service, "plan")
    assert (code, [refused["reason"] for refused in plan["refused"]]) == (7, ["guard.algorithm"])
    done = service.cli("config", "apply")
    assert done.returncode == 4
    assert "rollout start --issuer orders --algorithm Ed25519" in done.stderr
    assert issuer(service, "default")["owner"] == "Platform"  # nothing was applied


def test_a_backend_that_the_service_lacks_is_a_difference_and_no_policy_may_need_it(
    file: Path, start_service: Start
) -> None:
    service = start_service()
    file.write_text(DEFAULT + ORDERS + 'backend = "m"\n[backends.m]\nuri = "memory:"\n')
    code, plan = config(service, "plan")
    assert (code, plan["backends_missing"]) == (7, ["m"])
    done = service.cli("config", "apply")
    assert (done.returncode, "restart the service with the new file first" in done.stderr) == (4, True)


def test_the_service_refuses_an_unsafe_policy_from_any_client(file: Path, start_service: Start) -> None:
    service = start_service()
    table = {"algorithm": "ES256", "rotation_period": 60}
    answer = service.request("POST", "/v1/config/apply", {"issuers": {"orders": table}})
    assert (answer.status, answer.json()["reason"]) == (409, "guard.policy")
    for body in ({"issuers": {"orders": {"algorithm": "none"}}}, {"issuers": {}, "more": 1}):
        assert service.request("POST", "/v1/config/apply", body).json()["reason"] == "request.malformed"
    internal = service.request("POST", "/v1/config/apply", {"issuers": {"internal": {"algorithm": "ES256"}}})
    assert (internal.status, internal.json()["reason"]) == (409, "guard.policy")


def test_plan_and_apply_work_when_no_service_runs(file: Path, start_service: Start) -> None:
    service = start_service()
    service.interrupt()
    file.write_text(DEFAULT + ORDERS + '[issuers.bills]\nalgorithm = "Ed25519"\n')
    for _ in range(2):  # looking changes nothing
        code, plan = config(service, "plan")
        assert (code, [new["issuer"] for new in plan["issuers_to_open"]]) == (7, ["bills"])
    assert config(service, "apply")[0] == 0
    assert config(service, "plan")[0] == 0


def test_a_start_refuses_a_file_with_errors(tmp_path: Path) -> None:
    (tmp_path / "sealwright.toml").write_text('[issuers.default]\nalgorithm = "ES256"\nbackend = "hsm"\n')
    done: subprocess.CompletedProcess[str] = run_cli("up", "--home", str(tmp_path / "data"), "--port", "0")
    assert done.returncode == 6
    assert "sealwright.toml:3:1: error: issuers.default.backend" in done.stderr


def test_check_needs_no_data_folder_and_says_all_in_json_too(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('[service]\nport = "x"\n[issuers.a]\n')
    done = run_here("config", "check", str(path), "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["valid"], [f["line"] for f in answer["faults"]]) == (6, False, [2, 3])
    path.write_text('[issuers.a]\nalgorithm = "ES256"\n')
    assert run_here("config", "check", str(path)).returncode == 0
    assert run_here("config", "check", str(path), "--strict").returncode == 6
    assert "properties" in json.loads(run_here("config", "schema").stdout)


def test_reading_policies_and_changing_them_need_a_credential(service: RunningService) -> None:
    for method, path in (
        ("GET", "/v1/issuers"),
        ("POST", "/v1/config/plan"),
        ("POST", "/v1/config/apply"),
        ("POST", "/v1/issuers/default/rollout/start"),
        ("POST", "/v1/issuers/default/rollout/back"),
    ):
        answer = service.request(method, path, {} if method == "POST" else None, credential=None)
        assert (answer.status, answer.json()["reason"]) == (401, "credential.missing"), path
