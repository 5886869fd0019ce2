"""The audit from the command line, beside a running service and without one: export, verify, checkpoint, archive."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_here import run_here
from running_service import RunningService, eventually


@pytest.fixture
def used(start_service: Callable[..., RunningService]) -> RunningService:
    service = start_service()
    for _ in range(5):
        service.token()
    return service


def test_an_export_is_proven_elsewhere_with_keys_and_a_checkpoint_that_were_kept(
    used: RunningService, tmp_path: Path
) -> None:
    kept, exported, roots = tmp_path / "kept.jws", tmp_path / "export.jsonl", tmp_path / "roots.json"
    assert used.cli("audit", "checkpoint", "--out", str(kept)).returncode == 0
    roots.write_text(json.dumps(used.request("GET", "/v1/audit/trust-roots").json()))
    used.interrupt()
    assert used.cli("audit", "export", "--out", str(exported)).returncode == 0
    offline = ("audit", "verify", "--file", str(exported), "--trust-root", str(roots), "--checkpoint", str(kept))
    proven = json.loads(run_here(*offline, "--json").stdout)
    assert proven["unbroken"]
    assert proven["checkpoints"] >= 1  # the scheduler may have written one as well
    assert proven["entries"] == len(exported.read_text().splitlines())
    exported.write_text("".join(exported.read_text().splitlines(keepends=True)[:8]))
    broken = run_here(*offline)
    assert broken.returncode == 1
    assert "entry 9 of writer main is missing" in broken.stderr
    assert run_here("audit", "verify", "--file", str(exported)).returncode == 1


def test_an_export_goes_to_a_pipe_and_begins_where_it_is_told_to(used: RunningService) -> None:
    lines = used.cli("audit", "export", "--writer", "main", "--after", "3").stdout.splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == list(range(4, 4 + len(lines)))
    assert used.cli("audit", "export", "--writer", "nobody").stdout == ""


@pytest.mark.parametrize("running", [True, False], ids=["service", "stopped"])
def test_old_entries_are_archived_and_proven_with_what_is_left(
    used: RunningService, tmp_path: Path, running: bool
) -> None:
    if not running:
        used.interrupt()
    folder = tmp_path / "archive"
    done = json.loads(used.cli("audit", "archive", "--before", "0s", "--out", str(folder), "--json").stdout)
    assert [Path(folder / one["file"]).is_file() for one in done["segments"]] == [True]
    alone = json.loads(used.cli("audit", "verify", "--json").stdout)
    assert alone["chains"][0]["archived"] == done["segments"][0]["last"]
    together = json.loads(used.cli("audit", "verify", "--archive", str(folder), "--json").stdout)
    assert together["chains"][0]["archived"] == 0
    assert together["entries"] > done["segments"][0]["last"]


def test_reading_the_audit_does_not_allow_to_archive_it(used: RunningService) -> None:
    scopes = json.loads(_claims((used.home / "operator.token").read_text()))["scope"].split()
    assert {"audit:read", "audit:archive"} <= set(scopes)
    for path in ("checkpoint", "archive", "prune"):
        assert used.request("POST", f"/v1/audit/{path}", credential=None).status == 401
    assert used.request("POST", "/v1/audit/archive", {"segments": []}).status == 400


def _claims(token: str) -> bytes:
    from sealwright.jose import base64url

    return base64url.decode_text(token.split(".")[1])


def test_a_running_service_writes_checkpoints_by_itself(start_service: Callable[..., RunningService]) -> None:
    haste = {"SEALWRIGHT_SCHEDULER_EVERY_S": "0.2", "SEALWRIGHT_AUDIT_CHECKPOINT_EVERY_S": "0.4"}
    service = start_service(**haste)

    def checkpoints() -> list[dict[str, object]]:
        lines = service.cli("audit", "list", "--json").stdout.splitlines()
        return [entry for entry in map(json.loads, lines) if entry["action"] == "audit.checkpoint"]

    eventually(lambda: len(checkpoints()) >= 1, "the first checkpoint")
    before = len(checkpoints())
    service.token()
    eventually(lambda: len(checkpoints()) > before, "one more, since a token was signed")
    assert {entry["actor"] for entry in checkpoints()} == {"scheduler"}
    proven = json.loads(service.cli("audit", "verify", "--json").stdout)
    assert (proven["unbroken"], proven["checkpoints"] > before) == (True, True)
