"""The real program as a child process on a free loopback port, with a data folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from command_here import run_here

COMMAND = str(Path(sys.executable).with_name("sealwright"))
HTTP = urllib3.PoolManager(maxsize=8, retries=False, timeout=20)
SHORT_TIMINGS = {
    "SEALWRIGHT_TIMINGS__JWKS_MAX_AGE_S": "0",
    "SEALWRIGHT_TIMINGS__WORST_CONSUMER_CACHE_S": "0",
    "SEALWRIGHT_TIMINGS__REPLICATION_S": "0",
    "SEALWRIGHT_TIMINGS__VERIFY_WINDOW_FLOOR_S": "0",
    "SEALWRIGHT_TIMINGS__LONGEST_TOKEN_S": "4",
    "SEALWRIGHT_TIMINGS__LEEWAY_S": "0",
}


def eventually(check: Callable[[], bool], what: str, within_s: float = 20) -> None:
    """Ask again and again; a generous deadline, not a measurement."""
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Answer:
    """One HTTP answer."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.data

    def json(self) -> Any:
        return json.loads(self.body)


class RunningService:
    """``sealwright up`` in a process of its own."""

    def __init__(self, home: Path, environment: dict[str, str] | None = None, port: int = 0) -> None:
        self.home = home
        self.environment = clean_environment() | (environment or {})
        self.output: list[str] = []
        self.process = subprocess.Popen(
            [COMMAND, "up", "--home", str(home), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self.environment,
            start_new_session=True,
        )
        self._up = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._up.wait(60) or self.process.poll() is not None:
            self.kill()
            raise AssertionError("the service did not start:\n" + "".join(self.output))
        self.url = (home / "service-url").read_text().strip()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if '"$TOKEN"' in line:
                self._up.set()
        self._up.set()

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        credential: str | None = "operator",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if credential is not None:
            token = (self.home / "operator.token").read_text().strip() if credential == "operator" else credential
            sent["Authorization"] = f"Bearer {token}"
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        return Answer(HTTP.request(method, self.url + path, body=content, headers=sent))

    def token(self, issuer: str = "default", audience: str = "orders", **claims: Any) -> str:
        body = {"claims": {"sub": "alice", **claims}, "audience": audience}
        answer = self.request("POST", f"/v1/issuers/{issuer}/tokens", body)
        assert answer.status == 201, answer.body
        return str(answer.json()["token"])

    def decide(self, token: str, audience: str = "orders") -> dict[str, Any]:
        answer = self.request("POST", "/v1/verify", {"token": token, "audience": audience}, credential=None)
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def keys(self, issuer: str = "default") -> dict[str, list[str]]:
        """The kids of an issuer by state."""
        found: dict[str, list[str]] = {}
        for key in self.request("GET", f"/v1/keys?issuer={issuer}").json()["keys"]:
            found.setdefault(key["state"], []).append(key["key_id"])
        return found

    def cli(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return run_here(*arguments, "--home", str(self.home), stdin=stdin, environment=self.environment)

    def cli_process(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return run_cli(*arguments, "--home", str(self.home), stdin=stdin, environment=self.environment)

    def interrupt(self) -> int:
        """Ctrl-C, and the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        self._finish()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self._finish()

    def _finish(self) -> None:
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SEALWRIGHT_")}


def run_cli(
    *arguments: str, stdin: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment or clean_environment(),
    )


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., RunningService]]:
    """Starts services, and stops by pid what is still running at the end."""
    started: list[RunningService] = []

    def start(home: Path | None = None, port: int = 0, **environment: str) -> RunningService:
        service = RunningService(home or tmp_path / "data", environment, port)
        started.append(service)
        return service

    yield start
    for service in started:
        service.kill()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service for the tests of a module that leave its keys as they are."""
    running = RunningService(tmp_path_factory.mktemp("service") / "data")
    yield running
    running.kill()
