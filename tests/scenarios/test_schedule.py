"""What is ahead of keys, asked over HTTP and on the command line; and a service that rotates by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command_here import run_here
from running_service import SHORT_TIMINGS, RunningService, eventually

HASTE = SHORT_TIMINGS | {
    "SEALWRIGHT_TIMINGS__ROTATION_PERIOD_S": "3",
    "SEALWRIGHT_TIMINGS__RESTORABLE_S": "1",
    "SEALWRIGHT_SCHEDULER_EVERY_S": "0.2",
}


def test_the_plan_over_http_and_on_the_command_line(service: RunningService) -> None:
    active = service.keys()["active"][0]
    plan = service.request("GET", f"/v1/plan?issuer=default&for_s={31 * 86_400}").json()
    assert [(move["move"], move["key_id"], move["blocked_by"]) for move in plan["moves"]] == [
        ("rotate", active, []),
        ("retire", active, []),
    ]
    asked = json.loads(service.cli("keys", "plan", "--issuer", "default", "--for", "31d", "--json").stdout)
    assert [move["at"] for move in asked["moves"]] == [move["at"] for move in plan["moves"]]
    table = service.cli("keys", "plan", "--for", "31d").stdout
    assert table.split("\n")[0].split() == ["WHEN", "(UTC)", "IN", "ISSUER", "ALG", "MOVE", "KID", "BLOCKED", "BY"]
    assert "internal (trust-root)" in table
    assert active in table
    assert "nothing is planned until" in service.cli("keys", "plan", "--for", "1h").stdout
    assert service.cli("keys", "plan", "--issuer", "nobody").returncode == 4
    assert service.request("GET", "/v1/plan?for_s=-1").status == 400
    assert service.request("GET", "/v1/plan", credential=None).status == 401


def test_a_hold_is_shown_blocks_and_is_released(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    active = service.keys()["active"][0]
    assert service.cli("keys", "hold", active).returncode == 2
    held = json.loads(service.cli("keys", "hold", active, "--reason", "court order 12", "--json").stdout)
    assert held["hold"] == "court order 12"
    assert "active (held)" in service.cli("keys", "list").stdout
    moves = service.request("GET", f"/v1/plan?issuer=default&for_s={40 * 86_400}").json()["moves"]
    assert [move["blocked_by"] for move in moves if move["move"] == "retire"] == [["guard.hold"]]
    service.request("POST", "/v1/issuers/default/rotate")
    refused = service.request("POST", f"/v1/keys/{active}/retire", {"reason": "drill", "force": True})
    assert (refused.status, refused.json()["guard"]) == (409, "hold")
    assert service.request("POST", f"/v1/keys/{active}/hold", {}).status == 400
    assert "hold" not in service.request("POST", f"/v1/keys/{active}/release").json()


def test_orphans_are_listed_by_their_backend(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    assert "every key has its record" in service.cli("keys", "orphans").stdout
    handles = {path.name for path in (service.home / "keys").iterdir()}
    lost = next(path for path in (service.home / "keys").iterdir() if len(path.stem) == 32)
    lost.rename(lost.with_name("f" * 32 + lost.suffix))
    backends = {one["backend"]: one for one in service.request("GET", "/v1/orphans").json()["backends"]}
    assert backends["catalog"]["unknown"] == backends["catalog"]["missing"] == []
    found = backends["local"]
    assert found["unknown"] == ["f" * 32]
    assert [one["handle"] for one in found["missing"]] == [lost.stem]
    table = service.cli("keys", "orphans").stdout
    assert "key without a record" in table
    assert "record without its key" in table
    assert len(list((service.home / "keys").iterdir())) == len(handles)


def test_a_service_rotates_retires_and_destroys_by_itself(start_service: Callable[..., RunningService]) -> None:
    service = start_service(**HASTE)
    first = service.keys()["active"][0]
    eventually(lambda: first in service.keys().get("destroyed", []), "the first key was not destroyed", 60)
    token = service.token()
    assert service.decide(token)["outcome"] == "accepted"
    moves: list[Any] = service.request("GET", "/v1/audit").json()["entries"]
    rotations = [one for one in moves if one["action"] == "key.rotated" and one["issuer"] == "default"]
    assert rotations
    assert {one["actor"] for one in rotations} == {"scheduler"}
    page = service.request("GET", "/metrics", credential=None).body.decode()
    assert 'key_scheduler_ticks_total{outcome="done"}' in page
    assert 'key_orphans{backend="local",kind="unknown"} 0.0' in page
    assert service.interrupt() == 0


def test_the_plan_and_holds_work_without_a_service_too(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path / "data"))
    made = run_here("keys", "create", "--json", "--issuer", "default", *home)
    active = next(key["key_id"] for key in json.loads(run_here("keys", "list", "--json", *home).stdout)["keys"])
    assert made.returncode == 0 or "standby" in made.stderr
    assert json.loads(run_here("keys", "hold", active, "--reason", "evidence", "--json", *home).stdout)["hold"]
    plan = json.loads(run_here("keys", "plan", "--for", "40d", "--json", *home).stdout)
    assert ["guard.hold"] in [move["blocked_by"] for move in plan["moves"]]
    assert json.loads(run_here("keys", "orphans", "--json", *home).stdout)["backends"][0]["unknown"] == []
