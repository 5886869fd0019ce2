"""Sidecars as an operator sets them up: fleet join writes a folder, sealwright-verifier runs with what is in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_service import RunningService, eventually
from running_sidecar import RunningSidecar

Start = Callable[..., RunningSidecar]


def join(service: RunningService, folder: Path, *more: str) -> Path:
    """The folder of a new verifier of the name orders."""
    done = service.cli("fleet", "join", "orders", "--audience", "orders", "--out", str(folder), *more)
    assert done.returncode == 0, done.stderr
    return folder


def set_options(folder: Path, **options: str) -> None:
    """Say more in [sealwright] of its verifier.toml, or something else."""
    path = folder / "verifier.toml"
    lines = [line for line in path.read_text().splitlines() if line.partition(" = ")[0] not in options]
    at = lines.index("[sealwright]") + 1
    path.write_text("\n".join([*lines[:at], *(f'{name} = "{value}"' for name, value in options.items()), *lines[at:]]))


@pytest.fixture
def start_sidecar(tmp_path: Path) -> Iterator[Start]:
    """Starts the sidecar of a folder, waits until it is ready, and stops it at the end."""
    started: list[RunningSidecar] = []

    def start(folder: Path) -> RunningSidecar:
        log = tmp_path / f"sidecar-{len(started)}.log"
        one = RunningSidecar(log, {}, arguments=["--config", str(folder / "verifier.toml")])
        started.append(one)
        eventually(lambda: one.request("GET", "/readyz").status == 200, "the sidecar is ready")
        return one

    yield start
    for one in started:
        one.stop()


def live(service: RunningService, count: int) -> None:
    """Wait until so many report."""

    def counted() -> bool:
        return bool(service.request("GET", "/v1/fleet").json()["issuers"]["default"]["live"] == count)

    eventually(counted, f"{count} sidecars report")


def refused_canary_at(one: RunningSidecar, canary: str, within_s: float) -> float:
    """When it first said that the key of the canary does not count; until then it says whom it is for."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        decision = one.decide(canary)
        assert decision["outcome"] != "accepted"
        if decision["reason"] == "key.revoked":
            return time.time()
        time.sleep(0.02)
    raise AssertionError("the canary was never refused for its key")
