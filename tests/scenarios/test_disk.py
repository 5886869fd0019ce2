"""A disk that is full, or that turned read-only: nothing is released, nothing is lost, and it goes on afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_service import COMMAND, RunningService, clean_environment


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if (
        os.geteuid() != 0
        or not shutil.which("mount")
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("needs root and mount, to make a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65_536)


def issue(service: RunningService) -> tuple[int, str | None]:
    body = {"claims": {"sub": "alice"}, "audience": "orders"}
    answer = service.request("POST", "/v1/issuers/default/tokens", body)
    return answer.status, answer.json().get("reason")


def test_a_full_disk_releases_nothing_and_loses_nothing(
    small_disk: Path, start_service: Callable[..., RunningService]
) -> None:
    service = start_service(small_disk / "data")
    token, keys = service.token(), service.keys()
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        fill(filler)
    assert issue(service) == (503, "catalog.unavailable")
    rotation = service.request("POST", "/v1/issuers/default/rotate", {"reason": "test"})
    assert (rotation.status, rotation.json()["reason"]) == (503, "catalog.unavailable")
    assert service.request("GET", "/readyz", credential=None).status == 503
    assert service.decide(token)["outcome"] == "accepted"
    filler.unlink()
    assert issue(service) == (201, None)
    assert service.request("GET", "/readyz", credential=None).status == 200
    assert service.keys() == keys
    assert service.cli("audit", "verify").returncode == 0


def test_a_read_only_disk_stops_the_start_and_changes_nothing(
    small_disk: Path, start_service: Callable[..., RunningService]
) -> None:
    service = start_service(small_disk / "data")
    service.interrupt()
    before = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()}
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = subprocess.run(
        [COMMAND, "up", "--home", str(small_disk / "data"), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=clean_environment(),
    )
    assert (done.returncode, "settings.folder_unwritable" in done.stderr) == (6, True)
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()} == before
