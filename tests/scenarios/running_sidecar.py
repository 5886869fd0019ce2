"""sealwright-verifier as a child process on a free loopback port."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import urllib3
from running_service import HTTP, Answer, clean_environment, eventually
from servers import free_port

COMMAND = str(Path(sys.executable).with_name("sealwright-verifier"))


class RunningSidecar:
    """The program with settings of its own, without their prefix. What it writes goes to ``log``."""

    def __init__(
        self,
        log: Path,
        settings: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        port = free_port()
        self.url, self.log = f"http://127.0.0.1:{port}", log
        named = {f"SEALWRIGHT_VERIFIER_{name}": value for name, value in settings.items()}
        given = clean_environment() | {**named, "SEALWRIGHT_VERIFIER_PORT": str(port), **(environment or {})}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [COMMAND, *arguments], stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=given
            )
        eventually(self._alive, "the sidecar starts")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def request(self, method: str, path: str, body: object = None) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        return Answer(HTTP.request(method, self.url + path, body=content))

    def decide(self, token: str) -> dict[str, Any]:
        answer = self.request("POST", "/v1/verify", {"token": token})
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of a metric whose labels include these."""
        total = 0.0
        for line in self.request("GET", "/metrics").body.decode().splitlines():
            sample, _, value = line.rpartition(" ")
            known, _, rest = sample.partition("{")
            if known == name and all(f'{label}="{text}"' in rest for label, text in labels.items()):
                total += float(value)
        return total

    def _alive(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.request("GET", "/healthz").status == 200
        except urllib3.exceptions.HTTPError:
            return False
