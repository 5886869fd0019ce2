"""What a newcomer sees: the banner, three pasted lines, Ctrl-C, and the same keys after a restart."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from running_service import RunningService, eventually


def pasted_lines(service: RunningService) -> list[str]:
    text = "".join(service.output)
    return [line.strip() for line in text.split("Paste these into another terminal:")[1].splitlines() if line.strip()][
        :3
    ]


def test_the_three_pasted_lines_issue_show_and_verify(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    issue, show, verify = pasted_lines(service)
    script = f'set -e\n{issue}\nprintf "TOKEN %s\\n" "$TOKEN"\n{show}\n{verify}\n'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    token, *rest = done.stdout.splitlines()
    assert token.removeprefix("TOKEN ").count(".") == 2
    assert service.keys()["active"][0] in done.stdout
    assert any(line.startswith("accepted") for line in rest)
    assert '"sub": "alice"' in done.stdout


def test_the_operator_credential_is_for_its_owner_only_and_named_in_the_banner(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    path = service.home / "operator.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in "".join(service.output)
    assert path.read_text().strip() not in "".join(service.output)


def test_ctrl_c_stops_cleanly_and_the_next_start_finds_the_same_keys(
    start_service: Callable[..., RunningService],
) -> None:
    first = start_service()
    keys, token = first.keys(), first.token()
    assert first.interrupt() == 0
    assert "Traceback" not in "".join(first.output)
    second = start_service(port=first.port)
    assert second.keys() == keys
    assert second.decide(token)["outcome"] == "accepted"


def test_a_service_manager_stops_it_cleanly_too(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    service.process.terminate()
    assert service.process.wait(30) == 0
    assert not (service.home / "service-url").exists()


def test_the_running_service_renews_the_operator_credential(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    service = start_service(SEALWRIGHT_OPERATOR_LIFETIME_S="4", SEALWRIGHT_TIMINGS__LEEWAY_S="0")
    path = tmp_path / "data" / "operator.token"
    before = path.read_text().strip()
    assert service.request("GET", "/v1/keys", credential=before).status == 200
    eventually(
        lambda: service.request("GET", "/v1/keys", credential=before).status == 401, "the first credential expires"
    )
    assert path.read_text().strip() != before
    assert service.request("GET", "/v1/keys").status == 200


def test_nothing_the_service_prints_contains_a_token(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    tokens = [service.token() for _ in range(3)]
    for token in tokens:
        service.decide(token)
        service.decide(token[:-4] + "AAAA")
    service.interrupt()
    text = "".join(service.output)
    assert "token.decided" in text
    for token in tokens:
        assert not any(part in text for part in token.split("."))
