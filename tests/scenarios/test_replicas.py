"""Two services on one PostgreSQL database: one trail, one set of keys, whoever of them is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from command_here import run_here
from postgresql import shared_cluster
from running_service import SHORT_TIMINGS, RunningService, eventually


def test_two_services_share_keys_and_audit(start_service: Callable[..., RunningService], tmp_path: Path) -> None:
    kek = "ab" * 32
    shared = {"SEALWRIGHT_DATABASE_URL": shared_cluster().new_database(), "SEALWRIGHT_KEK": kek, **SHORT_TIMINGS}
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "keys").mkdir()
    for name in ("one", "two"):
        (tmp_path / name / "keys").symlink_to(tmp_path / "keys")  # a local backend in a shared folder
    shared["SEALWRIGHT_PUBLIC_URL"] = "https://sign.example"
    one = start_service(tmp_path / "one", SEALWRIGHT_REPLICA="one", **shared)
    two = start_service(tmp_path / "two", SEALWRIGHT_REPLICA="two", **shared)
    assert one.request("GET", "/readyz").status == two.request("GET", "/readyz").status == 200
    assert one.keys() == two.keys()
    token = two.token()
    assert one.decide(token)["outcome"] == "accepted"
    leaked = one.keys()["active"][0]
    body = {"reason": "leaked", "key_id": leaked}
    assert one.request("POST", "/v1/issuers/default/emergency-rotate", body).status == 200
    eventually(lambda: two.decide(token)["reason"] == "key.revoked", "the other service accepts a revoked key", 5)
    assert one.decide(two.token())["outcome"] == "accepted"
    chains = [chain["writer"] for chain in one.request("GET", "/v1/audit/chains").json()["chains"]]
    assert chains == ["one", "two"]
    assert two.request("POST", "/v1/audit/checkpoint").status == 201
    proven = json.loads(one.cli("audit", "verify", "--json").stdout)
    assert proven["checkpoints"] >= 1
    assert [chain["writer"] for chain in proven["chains"]] == chains
    listed = [json.loads(line) for line in one.cli("audit", "list", "--json").stdout.splitlines()]
    writers = [entry["writer"] for entry in listed]
    assert set(writers) == {"one", "two"}
    assert writers != sorted(writers)  # by time, not one chain after the other


def test_a_second_service_on_one_sqlite_file_is_told_why_it_may_not_start(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    shared = {"SEALWRIGHT_DATABASE_URL": f"sqlite:///{tmp_path / 'shared.db'}"}
    one = start_service(tmp_path / "one", **shared)
    create = ("keys", "create", "--issuer", "other", "--algorithm", "ES256", "--home", str(tmp_path / "two"))
    refused = run_here(*create, environment=one.environment)
    assert refused.returncode == 6
    assert "settings.database_in_use" in refused.stderr
