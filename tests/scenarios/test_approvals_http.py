"""Approvals over HTTP and from the command line, by people with credentials of their own."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from running_service import HTTP, clean_environment, eventually, run_cli

import sealwright as sw
from sealwright.client import KeyServiceClient
from sealwright.keys.policy import FixedPolicies, IssuerPolicy
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.listening import listening
from sealwright.services.together import build_app
from sealwright.settings import ServiceSettings
from sealwright.wiring import single_process
from sealwright.wiring.data_folder import OwnedFolder

POLICY = IssuerPolicy(approvals={"force": 1, "destroy": 2, "emergency": 1, "revoke": 1})


class Team:
    """A service whose policy asks for approvals, and its people."""

    def __init__(self, url: str, operations: KeyOperations, folder: Path) -> None:
        self.url = url
        self.operations = operations
        self._folder = folder

    def credential(self, subject: str, *roles: str, issuers: tuple[str, ...] = ()) -> str:
        return str(self.operations.access.issue(subject, roles=roles, issuers=issuers)["token"])

    def client(self, subject: str, *roles: str, issuers: tuple[str, ...] = ()) -> KeyServiceClient:
        token = self.credential(subject, *roles, issuers=issuers)
        return KeyServiceClient(self.url, lambda: token)

    def cli(self, subject: str, role: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        file = self._folder / f"{subject}.token"
        file.write_text(self.credential(subject, role))
        here = {"SEALWRIGHT_URL": self.url, "SEALWRIGHT_CREDENTIAL_FILE": str(file)}
        return run_cli(*arguments, environment={**clean_environment(), **here})


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    monkeypatch.setattr(single_process, "build_policies", lambda _: FixedPolicies(POLICY))
    with listening("127.0.0.1", 0, setting="none") as listener:
        settings = ServiceSettings(home=tmp_path / "data", port=listener.getsockname()[1])
        with OwnedFolder(settings.home) as owned, single_process.open_single_process(settings, owned) as process:
            operations = KeyOperations(process, "operator")
            server = uvicorn.Server(uvicorn.Config(build_app(process, operations), log_config=None))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                eventually(lambda: server.started, "the server listens")
                yield Team(settings.local_url(), operations, tmp_path)
            finally:
                server.should_exit = True
                thread.join()


def refused(expected: str, call: Any, /, *arguments: Any, **named: Any) -> sw.SealwrightError:
    with pytest.raises(sw.SealwrightError) as caught:
        call(*arguments, **named)
    assert caught.value.reason == expected
    return caught.value


def open_request(team: Team) -> str:
    (approval,) = [a for a in team.operations.access.approvals()["approvals"] if a["status"] in ("open", "granted")]
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
    entries = [e for e in team.operations.audit()["entries"] if e["action"] == "key.rotated"]
    assert [entry["facts"].get("approvals") for entry in entries] == [None, ["bob"]]
    refused("approval.unknown", bob.access.grant, "nope")


def test_whoever_asks_cannot_approve_even_with_every_scope(team: Team) -> None:
    refused("guard.approvals", team.operations.emergency_rotate, "default", key_id=None, reason="leak")
    refused("approval.same_person", team.operations.access.grant, open_request(team))
    carol = team.client("carol", "operator", "approver")
    error = refused("guard.approvals", carol.emergency_rotate, "default", key_id=None, reason="leak")
    mine = error.message.split("recorded as ")[1].split(":")[0]
    refused("approval.same_person", carol.access.grant, mine)


def test_an_approver_of_one_issuer_approves_of_nothing_else(team: Team) -> None:
    alice = team.client("alice", "operator")
    alice.create("payments", algorithm="ES256", reason="new")
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
    entries = [e for e in team.operations.audit()["entries"] if e["action"] == "key.emergency_rotated"]
    assert [(entry["actor"], entry["facts"]["break_glass"]) for entry in entries] == [("alice", True)]
    page = HTTP.request("GET", f"{team.url}/metrics").data.decode()
    assert 'key_break_glass_total{issuer="default"} 1.0' in page
