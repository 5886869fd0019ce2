"""Approvals over HTTP and from the command line, by people with credentials of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_here import run_here
from running_service import HTTP, RunningService, clean_environment

import sealwright as sw
from sealwright.client import KeyServiceClient

APPROVALS = {"force": 1, "destroy": 2, "emergency": 1, "revoke": 1}
ISSUERS = {name: {"algorithm": "ES256", "approvals": APPROVALS} for name in ("default", "payments")}


class Team:
    """A service whose policies ask for approvals, and its people."""

    def __init__(self, folder: Path) -> None:
        settings = {"SEALWRIGHT_ISSUERS": json.dumps(ISSUERS), "SEALWRIGHT_DENIED_CALLS_BURST": "10000"}
        self.service = RunningService(folder / "data", settings)
        self.url = self.service.url
        self.owner = KeyServiceClient(self.url, lambda: (folder / "data" / "operator.token").read_text().strip())
        self.folder = folder

    def credential(self, subject: str, *roles: str, issuers: tuple[str, ...] = ()) -> str:
        return str(self.owner.access.issue(subject, roles=roles, issuers=issuers)["token"])

    def client(self, subject: str, *roles: str, issuers: tuple[str, ...] = ()) -> KeyServiceClient:
        token = self.credential(subject, *roles, issuers=issuers)
        return KeyServiceClient(self.url, lambda: token)

    def cli(self, subject: str, role: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        file = self.folder / f"{subject}.token"
        file.write_text(self.credential(subject, role))
        here = {"SEALWRIGHT_URL": self.url, "SEALWRIGHT_CREDENTIAL_FILE": str(file)}
        return run_here(*arguments, environment={**clean_environment(), **here})

    def audited(self, action: str, issuer: str = "default") -> list[dict[str, Any]]:
        entries = self.owner.trail.page(action=action)["entries"]
        return [entry for entry in entries if entry["issuer"] == issuer]

    def file(self, **approvals: dict[str, int]) -> Path:
        """A file with these issuers and their approvals."""
        tables = [
            f'[issuers.{name}]\nalgorithm = "ES256"\nowner = "O"\n[issuers.{name}.approvals]\n'
            + "".join(f"{action} = {number}\n" for action, number in asked.items())
            for name, asked in approvals.items()
        ]
        file = self.folder / "wanted.toml"
        file.write_text("".join(tables))
        return file


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path)
    yield made
    made.service.kill()


def refused(expected: str, call: Any, /, *arguments: Any, **named: Any) -> sw.SealwrightError:
    with pytest.raises(sw.SealwrightError) as caught:
        call(*arguments, **named)
    assert caught.value.reason == expected
    return caught.value


def open_request(team: Team) -> str:
    (approval,) = [a for a in team.owner.access.approvals()["approvals"] if a["status"] in ("open", "granted")]
    return str(approval["id"])


def test_a_forced_move_waits_for_somebody_else_and_then_happens_once(team: Team) -> None:
    alice, bob = team.client("alice", "operator"), team.client("bob", "approver")
    alice.rotate("default", reason="routine")
    move = {"reason": "drill", "force": True}
    error = refused("guard.approvals", alice.rotate, "default", **move)
    approval = open_request(team)
    assert (type(error), approval in error.message) == (sw.RefusedError, True)
    refused("guard.approvals", alice.rotate, "default", **move, approval=approval)
    refused("claims.scope", alice.access.grant, approval)
    granted = bob.access.grant(approval)
    assert (granted["status"], granted["granted_by"], granted["requester"]) == ("granted", ["bob"], "alice")
    alice.rotate("default", **move, approval=approval)
    refused("approval.ended", alice.rotate, "default", **move, approval=approval)
    entries = team.audited("key.rotated")
    assert [entry["facts"].get("approvals") for entry in entries] == [None, ["bob"]]
    refused("approval.unknown", bob.access.grant, "nope")


def test_whoever_asks_cannot_approve_even_with_every_scope(team: Team) -> None:
    refused("guard.approvals", team.owner.emergency_rotate, "default", key_id=None, reason="leak")
    refused("approval.same_person", team.owner.access.grant, open_request(team))
    carol = team.client("carol", "operator", "approver")
    error = refused("guard.approvals", carol.emergency_rotate, "default", key_id=None, reason="leak")
    mine = error.message.split("recorded as ")[1].split(":")[0]
    refused("approval.same_person", carol.access.grant, mine)


def test_an_approver_of_one_issuer_approves_of_nothing_else(team: Team) -> None:
    alice = team.client("alice", "operator")
    refused("guard.approvals", alice.emergency_rotate, "payments", key_id=None, reason="leak")
    approval = open_request(team)
    elsewhere = team.client("bob", "approver", issuers=("default",))
    refused("claims.scope", elsewhere.access.grant, approval)
    assert elsewhere.access.approvals() == {"approvals": []}
    here = team.client("dora", "approver", issuers=("payments",))
    assert here.access.grant(approval)["status"] == "granted"
    alice.emergency_rotate("payments", key_id=None, reason="leak", approval=approval)


def test_the_command_line_asks_approves_and_repeats(team: Team) -> None:
    command = ("keys", "emergency-rotate", "--reason", "leak")
    asked = team.cli("alice", "operator", *command)
    assert (asked.returncode, "guard.approvals" in asked.stderr) == (4, True), asked.stderr
    listed = team.cli("bob", "approver", "approvals", "list", "--json")
    (approval,) = json.loads(listed.stdout)["approvals"]
    assert (approval["action"], approval["reason"], approval["status"]) == ("emergency", "leak", "open")
    assert approval["id"] in team.cli("bob", "approver", "approvals", "list").stdout
    assert team.cli("alice", "operator", "approvals", "grant", approval["id"]).returncode == 1
    assert team.cli("bob", "approver", "approvals", "grant", approval["id"]).returncode == 0
    assert team.cli("alice", "operator", *command, "--approval", approval["id"]).returncode == 0
    again = team.cli("alice", "operator", *command, "--approval", approval["id"])
    assert (again.returncode, "approval.ended" in again.stderr) == (4, True)


def test_a_denied_request_cannot_be_used(team: Team) -> None:
    alice, bob = team.client("alice", "operator"), team.client("bob", "approver")
    refused("guard.approvals", alice.emergency_rotate, "default", key_id=None, reason="leak")
    approval = open_request(team)
    bob.access.grant(approval)
    denied = team.cli("bob", "approver", "approvals", "deny", approval, "--reason", "a false alarm")
    assert denied.returncode == 0, denied.stderr
    refused("approval.ended", alice.emergency_rotate, "default", key_id=None, reason="leak", approval=approval)


def test_break_glass_waits_for_nobody_and_counts_in_metrics(team: Team) -> None:
    done = team.cli("alice", "operator", "keys", "emergency-rotate", "--reason", "leak", "--break-glass")
    assert done.returncode == 0, done.stderr
    entries = team.audited("key.emergency_rotated")
    assert [(entry["actor"], entry["facts"]["break_glass"]) for entry in entries] == [("alice", True)]
    page = HTTP.request("GET", f"{team.url}/metrics").data.decode()
    assert 'key_break_glass_total{issuer="default"} 1.0' in page


def test_one_person_cannot_lower_the_approvals_of_an_issuer(team: Team) -> None:
    file = team.file(default={"force": 1}, payments=APPROVALS)
    command = ("config", "apply", "--config", str(file), "--reason", "quicker")
    asked = team.cli("alice", "operator", *command)
    assert (asked.returncode, "guard.approvals" in asked.stderr, "of 2 other people" in asked.stderr) == (4, True, True)
    assert team.audited("policy.applied", "payments") == []  # nothing was applied, not even what needs nobody
    approval = open_request(team)
    (shown,) = team.owner.access.approvals()["approvals"]
    assert (shown["action"], shown["issuer"]) == ("policy", "default")
    assert "force" in shown["subject"]
    approved = (*command, "--approval", approval)
    team.client("bob", "approver").access.grant(approval)
    assert team.cli("alice", "operator", *approved).returncode == 4
    team.client("carol", "approver").access.grant(approval)
    file.write_text(file.read_text().replace("force = 1", "force = 0", 1))
    assert team.cli("alice", "operator", *approved).returncode == 4  # that was not what they approved of
    team.file(default={"force": 1}, payments=APPROVALS)
    assert team.cli("alice", "operator", *approved).returncode == 0
    (entry,) = team.audited("policy.applied")
    assert (entry["actor"], entry["facts"]["approvals"]) == ("alice", ["bob", "carol"])
    now = {one["issuer"]: one["approvals"] for one in team.owner.issuers()["issuers"]}
    assert (now["default"], now["payments"]) == ({"force": 1}, APPROVALS)


def test_requests_for_several_issuers_are_recorded_at_once_and_used_together(team: Team) -> None:
    file = team.file(default={"force": 1}, payments={})
    command = ("config", "apply", "--config", str(file), "--reason", "quicker")
    assert team.cli("alice", "operator", *command).returncode == 4
    ids = [str(one["id"]) for one in team.owner.access.approvals()["approvals"]]
    assert len(ids) == 2
    for name in ("bob", "carol"):
        for one in ids:
            team.client(name, "approver").access.grant(one)
    both = [part for one in ids for part in ("--approval", one)]
    assert team.cli("alice", "operator", *command, *both).returncode == 0
    assert {one["status"] for one in team.owner.access.approvals()["approvals"]} == {"used"}
    assert team.cli("alice", "operator", "config", "apply", "--config", str(team.file(payments={}))).returncode == 0
