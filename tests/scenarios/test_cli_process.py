"""The command as a process of its own says, and exits with, what it does inside of this one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_here import run_here
from running_service import RunningService, run_cli

import sealwright as sw

GOOD, ELSEWHERE = "a token for orders", "a token for others"
DOWN = ("--issuer", "{url}/issuers/default", "--jwks", "http://127.0.0.1:1/jwks.json")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Its standby is too young for another rotation."""
    running = RunningService(tmp_path_factory.mktemp("process") / "data")
    assert running.cli("keys", "rotate").returncode == 0
    yield running
    running.kill()


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "public.json"
    path.write_text(json.dumps(sw.PrivateJWK.generate("ES256").public.to_dict()))
    return path


@pytest.mark.parametrize(
    ("code", "arguments", "stdin"),
    [
        (0, ("version", "--json"), ""),
        (0, ("keys", "list", "--json", "--home", "{home}"), ""),
        (0, ("keys", "list", "--home", "{home}"), ""),
        (0, ("verify", "--audience", "orders", "--home", "{home}"), GOOD),
        (1, ("verify", "--audience", "orders", "--json", "--home", "{home}"), ELSEWHERE),
        (1, ("inspect",), "garbage"),
        (0, ("jwk", "thumbprint", "{public}"), ""),
        (1, ("jwk", "thumbprint", "{public}x", "--json"), ""),
        (2, ("keys", "list", "--no-such-option"), ""),
        (3, ("verify", "--audience", "orders", *DOWN), GOOD),
        (4, ("keys", "rotate", "--home", "{home}", "--json"), ""),
        (6, ("keys", "list", "--home", "{home}/nothing"), ""),
    ],
)
def test_it_prints_the_same_and_exits_alike(
    service: RunningService, public: Path, code: int, arguments: tuple[str, ...], stdin: str
) -> None:
    given = [one.format(home=service.home, url=service.url, public=public) for one in arguments]
    text = {GOOD: service.token(), ELSEWHERE: service.token(audience="others")}.get(stdin, stdin)
    here, apart = (run(*given, stdin=text) for run in (run_here, run_cli))
    assert (apart.returncode, apart.stdout, apart.stderr) == (here.returncode, here.stdout, here.stderr)
    assert apart.returncode == code
    assert apart.stdout or apart.stderr


def test_what_a_process_signs_another_verifies_and_each_moves_keys(
    start_service: Callable[..., RunningService],
) -> None:
    """Over HTTP while the service runs, and under the lock of the folder when it does not."""
    service = start_service()
    token = service.cli_process("sign", "--claims", '{"sub":"alice"}', "--audience", "orders").stdout
    rotated = service.cli_process("keys", "rotate", "--reason", "test", "--json")
    assert json.loads(rotated.stdout)["previous"]["state"] == "verify_only"
    service.interrupt()
    verified = service.cli_process("verify", "--audience", "orders", "--json", stdin=token)
    assert (verified.returncode, json.loads(verified.stdout)["outcome"]) == (0, "accepted")
    assert service.cli_process("audit", "verify").returncode == 0
