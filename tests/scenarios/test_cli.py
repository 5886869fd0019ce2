"""The command line: over HTTP when the service runs, under the lock when it does not; exit codes; pipes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from command_here import run_here
from running_service import RunningService

import sealwright as sw


def test_key_verbs_work_alike_with_and_without_the_running_service(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    listed = json.loads(service.cli("keys", "list", "--json").stdout)
    token = service.cli("sign", "--claims", '{"sub":"alice"}', "--audience", "orders").stdout
    service.interrupt()
    assert json.loads(service.cli("keys", "list", "--json").stdout)["keys"][0]["key_id"] in json.dumps(listed)
    verified = service.cli("verify", "--audience", "orders", "--json", stdin=token)
    assert json.loads(verified.stdout)["outcome"] == "accepted"
    rotated = json.loads(service.cli("keys", "rotate", "--json").stdout)
    assert rotated["previous"]["state"] == "verify_only"
    again = service.cli("sign", "--claims", '{"sub":"bob"}', "--audience", "orders").stdout
    service = start_service(port=service.port)
    assert service.decide(again.strip())["key_id"] == rotated["active"]["key_id"]
    assert service.decide(token.strip())["outcome"] == "accepted"


def test_every_key_verb_moves_the_key_as_it_says(start_service: Callable[..., RunningService]) -> None:
    service = start_service()

    def moved(*arguments: str) -> dict[str, object]:
        done = service.cli("keys", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    first = service.keys()["active"][0]
    moved("rotate", "--reason", "test")
    assert moved("retire", first, "--force", "--reason", "test")["state"] == "retired"
    assert moved("restore", first)["state"] == "verify_only"
    assert moved("revoke", first, "--reason", "leak")["state"] == "revoked"
    standby = service.keys()["standby"][0]
    assert moved("activate", standby, "--force", "--reason", "test")["state"] == "active"
    assert "active" in moved("emergency-rotate", "--reason", "drill")
    made = moved("create", "--issuer", "partner", "--algorithm", "Ed25519")
    assert [key["state"] for key in made["keys"]] == ["active", "standby"]  # type: ignore[attr-defined]


def test_the_audit_tells_what_happened_and_notices_what_was_changed(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    for _ in range(3):
        service.token()
    service.cli("keys", "rotate", "--reason", "for the audit")
    assert "for the audit" in service.cli("audit", "list").stdout
    entries = [json.loads(line) for line in service.cli("audit", "list", "--json").stdout.splitlines()]
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
    assert [e["actor"] for e in entries if e["action"] == "token.signed" and e["issuer"] == "default"] == [
        "operator"
    ] * 3
    verified = json.loads(service.cli("audit", "verify", "--json").stdout)
    assert verified["unbroken"]
    assert verified["entries"] >= len(entries)
    service.interrupt()
    assert service.cli("audit", "verify").returncode == 0
    with contextlib.closing(sqlite3.connect(service.home / "sealwright.db")) as database, database:
        database.execute("UPDATE audit SET actor = 'nobody' WHERE sequence = 5")
    broken = service.cli("audit", "verify")
    assert (broken.returncode, "entry 5" in broken.stderr) == (1, True)


def test_a_guard_exits_with_4_and_says_what_would_satisfy_it(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    service.cli("keys", "rotate")
    refused = service.cli("keys", "rotate")
    assert refused.returncode == 4
    assert "guard.dwell" in refused.stderr
    assert "--force" in refused.stderr or "force" in refused.stderr
    as_json = service.cli("keys", "rotate", "--json")
    assert json.loads(as_json.stdout)["reason"] == "guard.dwell"


def test_verify_exits_with_0_1_and_3(service: RunningService, tmp_path: Path) -> None:
    token = service.token()
    assert service.cli("verify", "--audience", "orders", stdin=token).returncode == 0
    rejected = service.cli("verify", "--audience", "elsewhere", stdin=token)
    assert (rejected.returncode, "claims.audience" in rejected.stdout) == (1, True)
    down = run_here(
        "verify", "--audience", "orders", "--issuer", "x", "--jwks", "http://127.0.0.1:1/jwks.json", stdin=token
    )
    assert down.returncode in (1, 3)
    (tmp_path / "token").write_text(token + "\n")
    assert service.cli("verify", str(tmp_path / "token"), "--audience", "orders").returncode == 0


def test_verify_against_a_jwks_url_or_file_needs_no_service(service: RunningService, tmp_path: Path) -> None:
    issuer = f"{service.url}/issuers/default"
    url = f"{issuer}/.well-known/jwks.json"
    common = ("verify", "--audience", "orders", "--issuer", issuer, "--json")
    assert json.loads(run_here(*common, "--jwks", url, stdin=service.token()).stdout)["outcome"] == "accepted"
    (tmp_path / "jwks.json").write_text(run_here("jwks", "fetch", url, "--json").stdout)
    done = run_here(*common, "--jwks", str(tmp_path / "jwks.json"), stdin=service.token())
    assert json.loads(done.stdout)["outcome"] == "accepted"
    other = run_here(*common, "--jwks", url, "--algorithm", "RS256", stdin=service.token())
    assert json.loads(other.stdout)["reason"] == "algorithm.not_allowed"


def test_an_endpoint_that_is_down_is_undecided_with_exit_code_3(service: RunningService) -> None:
    issuer = f"{service.url}/issuers/default"
    done = run_here(
        "verify", "--audience", "orders", "--issuer", issuer, "--jwks", "http://127.0.0.1:1/jwks.json", "--json",
        stdin=service.token(),
    )  # fmt: skip
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (3, "undecided")


def test_inspect_says_loudly_that_nothing_is_verified() -> None:
    key = sw.PrivateJWK.generate("ES256")
    token = sw.sign(b'{"sub":"mallory"}', key, typ="x+jws")
    done = run_here("inspect", stdin=token)
    assert (done.returncode, "NOT VERIFIED" in done.stdout) == (0, True)
    assert "mallory" in done.stdout
    assert json.loads(run_here("inspect", "--json", stdin=token).stdout)["verified"] is False


@pytest.mark.parametrize("text", ["", "garbage", "a.b.c", "\x00", "." * 10, "A" * 2_000_000])
def test_inspect_of_garbage_is_one_clear_line(text: str) -> None:
    done = run_here("inspect", stdin=text)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_jwks_show_prints_what_the_page_has(service: RunningService) -> None:
    shown = json.loads(service.cli("jwks", "show", "--json").stdout)
    assert shown == service.request("GET", "/.well-known/jwks.json", credential=None).json()


def test_claims_come_from_a_file_or_a_pipe_too(service: RunningService, tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text('{"sub":"carol"}')
    for source, stdin in ((f"@{tmp_path / 'claims.json'}", ""), ("-", '{"sub":"carol"}')):
        token = service.cli("sign", "--claims", source, "--audience", "orders", "--lifetime", "2m", stdin=stdin).stdout
        assert service.decide(token.strip())["claims"]["sub"] == "carol"


def test_claims_a_line_are_signed_in_batches_in_their_order(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    service = start_service()
    source = tmp_path / "claims.jsonl"
    source.write_text("".join(f'{{"sub":"user-{n}"}}\n' for n in range(501)) + "\n")
    options = ("sign", "--lines", str(source), "--audience", "orders", "--lifetime", "60s")
    tokens = service.cli(*options).stdout.split()
    assert [service.decide(token)["claims"]["sub"] for token in (tokens[0], tokens[-1])] == ["user-0", "user-500"]
    assert len(tokens) == 501
    wrong = service.cli("sign", "--lines", "-", "--audience", "orders", stdin='{"sub":"a"}\n[]\n')
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "line 2" in wrong.stderr
    service.interrupt()
    answers = [json.loads(line) for line in service.cli(*options, "--json").stdout.splitlines()]
    assert (len(answers), answers[0]["expires_in"]) == (501, 60)


def test_a_payload_of_any_bytes_is_signed_from_a_file(service: RunningService, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(range(256)))
    token = service.cli("sign", "--payload", str(tmp_path / "blob"), "--typ", "blob+jws").stdout.strip()
    keys = sw.JWKSet.from_dict(service.request("GET", "/.well-known/jwks.json").json())
    assert sw.verify_signature(token, keys).payload == bytes(range(256))


@pytest.mark.parametrize(
    "arguments",
    [
        ("sign",),
        ("sign", "--claims", "{}"),
        ("sign", "--claims", "{", "--audience", "a"),
        ("sign", "--claims", "@/nowhere/at/all", "--audience", "a"),
        ("sign", "--claims", '{"sub":"a"}', "--audience", "a", "--lifetime", "soon"),
        ("sign", "--payload", "/nowhere/at/all", "--typ", "x+jws"),
        ("verify", "/nowhere/at/all", "--audience", "a"),
        ("verify", "--audience", "a", "--jwks", "http://127.0.0.1:1/"),
        ("jwks", "fetch", "ftp://x"),
        ("keys", "revoke", "no-such-key", "--reason", "x"),
        ("keys", "rotate", "--issuer", "no-such-issuer"),
    ],
)
def test_wrong_use_ends_in_one_clear_line_and_an_exit_code(service: RunningService, arguments: tuple[str, ...]) -> None:
    needs_home = arguments[0] != "jwks" and "--jwks" not in arguments
    done = service.cli(*arguments) if needs_home else run_here(*arguments, stdin="x")
    assert done.returncode in (1, 4, 6)
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr


def test_a_verb_without_a_data_folder_says_where_it_looked(tmp_path: Path) -> None:
    done = run_here("keys", "list", "--home", str(tmp_path / "nothing"))
    assert (done.returncode, "settings.folder_absent" in done.stderr) == (6, True)
    assert not (tmp_path / "nothing").exists()
