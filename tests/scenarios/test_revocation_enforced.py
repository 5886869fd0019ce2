"""M10: an emergency is enforced at three sidecars, from the command to the last refused canary."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from forwarder import Forwarder
from joined_sidecar import Start, join, live, refused_canary_at, set_options
from running_service import RunningService, eventually
from running_sidecar import RunningSidecar

PROMISED_S = 5.0
StartService = Callable[..., RunningService]


def canary_of(service: RunningService, key_id: str) -> str:
    def there() -> bool:
        return service.request("GET", f"/v1/keys/{key_id}/canary").status == 200

    eventually(there, "the emergency leaves a canary")
    return str(service.request("GET", f"/v1/keys/{key_id}/canary").json()["token"])


def emergency(
    service: RunningService, sidecars: list[RunningSidecar], *wait: str, within_s: float = 20
) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Seconds from the start of the command to the last refusal that was seen from outside, and what it printed.

    Nothing valid is refused before or after.
    """
    stolen, leaked = service.token(), service.keys()["active"][0]
    assert [one.decide(stolen)["outcome"] for one in sidecars] == ["accepted"] * len(sidecars)
    with ThreadPoolExecutor(len(sidecars) + 1) as pool:
        began = time.time()
        command = pool.submit(
            service.cli_process, "keys", "emergency-rotate", "--kid", leaked, "--reason", "stolen", *wait, "--json"
        )
        canary = canary_of(service, leaked)
        refusals = [pool.submit(refused_canary_at, one, canary, within_s) for one in sidecars]
        last = max(one.result() for one in refusals)
        done = command.result()
    assert [one.decide(stolen)["reason"] for one in sidecars] == ["key.revoked"] * len(sidecars)
    after = service.token()
    assert [one.decide(after)["outcome"] for one in sidecars] == ["accepted"] * len(sidecars)
    return last - began, done


def three(service: RunningService, start: Start, tmp_path: Path, **options: str) -> list[RunningSidecar]:
    """Two of them are one deployment, and share its folder."""
    folders = [join(service, tmp_path / name) for name in ("a", "b")]
    for folder in folders:
        set_options(folder, **options)
    sidecars = [start(folder) for folder in (folders[0], *folders)]
    live(service, 3)
    return sidecars


def test_an_emergency_is_enforced_within_five_seconds_as_seen_from_outside_and_as_the_fleet_says(
    start_service: StartService, start_sidecar: Start, tmp_path: Path
) -> None:
    """By push: the next refresh would be too late."""
    service = start_service(SEALWRIGHT_SCHEDULER_EVERY_S="0.5")
    sidecars = three(service, start_sidecar, tmp_path, refresh="2m")
    took_s, done = emergency(service, sidecars, "--wait")
    found = json.loads(done.stdout)["enforcement"]
    assert (done.returncode, found["refusing"], found["of"], found["waiting"]) == (0, 3, 3, [])
    print(f"M10: {took_s:.2f} s from outside, {found['enforced_after_s']:.2f} s by report")
    assert took_s < PROMISED_S
    assert found["enforced_after_s"] < PROMISED_S
    eventually(lambda: len(noted(service)) == 1, "the audit does not say when it was enforced")
    facts = noted(service)[0]["facts"]
    assert facts["verifiers"] == 3
    assert 0 <= facts["enforced_at"] - facts["commanded_at"] < PROMISED_S
    leaked = service.keys()["revoked"][0]
    shown = service.cli("fleet").stdout
    assert f"default: revoked {leaked} at " in shown
    assert "3 of 3 verifiers refuse it, the last one " in shown
    eventually(lambda: all_held(service), "all three hold what is published")
    assert service.cli("keys", "rehearse", "--issuer", "default", "--wait").returncode == 0


def noted(service: RunningService) -> list[dict[str, Any]]:
    return list(service.request("GET", "/v1/audit?action=revocation.enforced").json()["entries"])


def all_held(service: RunningService) -> bool:
    keys: list[dict[str, Any]] = service.request("GET", "/v1/fleet").json()["issuers"]["default"]["keys"]
    return all(key["holders"] == 3 for key in keys)


def test_with_push_cut_an_emergency_is_enforced_by_the_next_refresh_and_the_fleet_proves_nothing(
    start_service: StartService, start_sidecar: Start, tmp_path: Path
) -> None:
    service = start_service()
    with Forwarder(service.port) as between:
        url = f"http://127.0.0.1:{between.port}"
        sidecars = three(service, start_sidecar, tmp_path, url=url, public_url=service.url, refresh="2s")
        between.freeze()
        took_s, done = emergency(service, sidecars, "--wait", "1s")
        assert took_s < 2.0 + PROMISED_S
        assert done.returncode == 3
        assert json.loads(done.stdout)["enforcement"]["refusing"] == 0
        between.thaw()
        leaked = service.keys()["revoked"][0]
        proven = service.cli("keys", "enforced", leaked, "--wait")
        assert (proven.returncode, "3 of 3 verifiers refuse it" in proven.stdout) == (0, True)


def test_a_sidecar_that_starts_after_the_emergency_never_believed_the_key(
    start_service: StartService, start_sidecar: Start, tmp_path: Path
) -> None:
    service = start_service()
    token, folder = service.token(), join(service, tmp_path / "a")
    assert service.cli("keys", "emergency-rotate", "--reason", "laptop stolen").returncode == 0
    assert start_sidecar(folder).decide(token)["reason"] == "key.revoked"


@pytest.mark.parametrize("polls", [True, False], ids=["polls", "only-fetches"])
def test_a_service_that_is_gone_is_noticed_and_its_return_too(
    start_service: StartService, start_sidecar: Start, tmp_path: Path, polls: bool
) -> None:
    """A restart in between loses nothing: the sidecar goes on with what it holds, and hears of what follows."""
    service = start_service()
    folder = join(service, tmp_path / "a")
    set_options(folder, refresh="1s")
    if not polls:
        text = (folder / "verifier.toml").read_text()
        kept = [line for line in text.splitlines() if line.partition(" = ")[0] not in ("url", "credential_file")]
        (folder / "verifier.toml").write_text("\n".join(kept))
    one = start_sidecar(folder)
    token, port = service.token(), service.port
    assert one.decide(token)["outcome"] == "accepted"
    service.kill()
    assert one.decide(token)["outcome"] == "accepted"
    again = start_service(service.home, port)
    took_s, _ = emergency(again, [one], within_s=40)
    assert took_s < 40
