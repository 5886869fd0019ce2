"""Backups while the service runs, and restores that bring neither a revoked key back nor a sequence down."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_here import run_here
from running_service import SHORT_TIMINGS, RunningService

import sealwright as sw

TIMINGS = SHORT_TIMINGS | {"SEALWRIGHT_TIMINGS__LONGEST_TOKEN_S": "900"}
Start = Callable[..., RunningService]


def backup(service: RunningService, file: Path) -> Path:
    done = service.cli("backup", str(file))
    assert done.returncode == 0, done.stderr
    return file


def feed(service: RunningService, folder: Path) -> Path:
    path = folder / "feed.jws"
    path.write_bytes(service.request("GET", "/issuers/default/.well-known/revoked-keys", credential=None).body)
    return path


def sequence(service: RunningService) -> int:
    answer = service.request("GET", "/issuers/default/.well-known/revoked-keys", credential=None)
    roots = service.request("GET", "/.well-known/trust-root.jwks.json", credential=None).json()
    return int(sw.verify_signature(answer.body, sw.JWKSet.from_dict(roots)).json()["seq"])


def emergency(service: RunningService) -> str:
    leaked = service.keys()["active"][0]
    assert service.cli("keys", "emergency-rotate", "--reason", "leaked").returncode == 0
    return leaked


def restore(home: Path, file: Path, *more: str) -> Any:
    return run_here("restore", str(file), "--home", str(home), *more)


def new_home(old: Path, folder: Path) -> Path:
    """A new machine: nothing but the key-encryption key, which came another way."""
    home = folder / "new"
    home.mkdir()
    shutil.copy(old / "kek.key", home / "kek.key")
    return home


def test_a_lost_machine_comes_back_without_the_key_that_was_revoked_after_the_backup(
    start_service: Start, tmp_path: Path
) -> None:
    service = start_service(**TIMINGS)
    file = backup(service, tmp_path / "night.backup")
    token = service.token()
    leaked = emergency(service)
    good = service.token()
    latest, last = feed(service, tmp_path), sequence(service)
    service.kill()
    home = new_home(service.home, tmp_path)
    refused = restore(home, file)
    assert (refused.returncode, "guard.later_revocations" in refused.stderr) == (4, True)
    done = restore(home, file, "--feed", str(latest), "--reason", "disk died")
    assert done.returncode == 0, done.stderr
    again = start_service(home, service.port, **TIMINGS)
    assert leaked in again.keys()["revoked"]
    assert again.decide(token)["reason"] == "key.revoked"
    assert again.decide(good)["outcome"] == "accepted"  # the standby of the backup is the key that signed it
    assert again.decide(again.token())["outcome"] == "accepted"
    assert sequence(again) > last
    assert again.cli("audit", "verify").returncode == 0
    assert "catalog.restored" in again.cli("audit", "list").stdout
    leftover = {path.stem for path in (home / "keys").glob("*.sealed")}
    assert len(leftover) == sum(
        len(again.keys(name).get(state, []))
        for name in ("default", "internal")
        for state in ("active", "standby", "verify_only", "retired")
    )


def test_what_is_here_and_later_stays(start_service: Start, tmp_path: Path) -> None:
    service = start_service(**TIMINGS)
    file = backup(service, tmp_path / "night.backup")
    leaked = emergency(service)
    last = sequence(service)
    service.interrupt()
    assert restore(service.home, file).returncode == 0
    again = start_service(service.home, **TIMINGS)
    assert again.keys()["revoked"] == [leaked]
    assert sequence(again) > last
    assert again.decide(again.token())["outcome"] == "accepted"
    assert again.cli("audit", "verify").returncode == 0


def test_nobody_restores_under_a_running_service_or_writes_over_a_backup(start_service: Start, tmp_path: Path) -> None:
    service = start_service()
    file = backup(service, tmp_path / "night.backup")
    assert restore(service.home, file).returncode == 6
    assert service.cli("backup", str(file)).returncode == 1


def changed(file: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    out = file.with_suffix(".changed")
    with tarfile.open(file) as source, tarfile.open(out, "w:gz") as target:
        for member in source.getmembers():
            stream = source.extractfile(member)
            assert stream is not None
            data = change(stream.read()) if member.name == name else stream.read()
            part = tarfile.TarInfo(member.name)
            part.size = len(data)
            target.addfile(part, io.BytesIO(data))
    return out


@pytest.fixture(scope="module")
def night(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return backup(service, tmp_path_factory.mktemp("backup") / "night.backup")


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: changed(file, "catalog.jsonl", lambda data: data.replace(b'"verify_only"', b'"active"') + b"\n"),
        lambda file: changed(file, "manifest.json", lambda data: data.replace(b'"format": 1', b'"format": 2')),
        lambda file: changed(file, "keys/kek-check", lambda data: b"x" + data),
        lambda file: _with_bytes(file, file.read_bytes()[:-100]),
        lambda file: _with_bytes(file, b"not a backup"),
        lambda file: _with_bytes(file, b""),
    ],
)
def test_a_damaged_backup_changes_nothing(
    service: RunningService, night: Path, tmp_path: Path, damage: Callable[[Path], Path]
) -> None:
    home = new_home(service.home, tmp_path)
    done = restore(home, damage(night), "--force", "--reason", "test", "--json")
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (4, "backup.malformed"), done.stderr
    assert not (home / "keys").exists()


def _with_bytes(file: Path, data: bytes) -> Path:
    out = file.with_suffix(".changed")
    out.write_bytes(data)
    return out


def test_a_backup_needs_the_key_encryption_key_it_was_made_with(start_service: Start, tmp_path: Path) -> None:
    service = start_service()
    file = backup(service, tmp_path / "night.backup")
    service.kill()
    home = tmp_path / "new"
    missing = restore(home, file, "--force", "--reason", "test")
    assert (missing.returncode, "settings.kek_missing" in missing.stderr) == (6, True)
    (home / "kek.key").write_text("11" * 32)
    wrong = restore(home, file, "--force", "--reason", "test")
    assert (wrong.returncode, "backup.malformed" in wrong.stderr) == (4, True)


def test_tokens_that_were_revoked_before_or_after_the_backup_stay_so(start_service: Start, tmp_path: Path) -> None:
    service = start_service(**TIMINGS)
    body = {"claims": {"sub": "alice"}, "audience": "orders", "status": True}
    answers = [service.request("POST", "/v1/issuers/default/tokens", body) for _ in range(3)]
    before, after, good = [str(answer.json()["token"]) for answer in answers]
    plain = service.token()

    def revoke(token: str) -> None:
        answer = service.request("POST", "/v1/issuers/default/tokens/revoke", {"token": token, "reason": "stolen"})
        assert answer.status == 200, answer.body

    revoke(before)
    file = backup(service, tmp_path / "backup.tar.gz")
    revoke(after)
    revoke(plain)
    latest = feed(service, tmp_path)
    service.kill()
    home = new_home(service.home, tmp_path)
    done = restore(home, file, "--feed", str(latest), "--reason", "disk died")
    assert done.returncode == 0, done.stderr
    service = start_service(home, service.port, **TIMINGS)
    reasons = [service.decide(token)["reason"] for token in (before, after, plain, good)]
    assert reasons == ["token.revoked", "token.revoked", "token.revoked", None]
