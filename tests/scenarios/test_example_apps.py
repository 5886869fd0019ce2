"""The example applications against a running Sealwright: two as programs of their own, the others in this process."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import urllib3
from http_callers import Answered, call_asgi, call_wsgi
from running_service import RunningService, clean_environment

import sealwright as sw

EXAMPLES = Path(__file__).parents[2] / "examples"
HTTP = urllib3.PoolManager(retries=False, timeout=20)
PROGRAMS = {
    "django_app": ["-m", "uvicorn", "--app-dir", str(EXAMPLES / "django_app"), "--port", "0", "app:application"],
    "flask_app": ["-m", "flask", "--app", str(EXAMPLES / "flask_app" / "app.py"), "run", "--port", "0"],
}
CALLERS: dict[str, Callable[..., Answered]] = {
    "asgi_app": call_asgi,
    "wsgi_app": call_wsgi,
    "fastapi_app": call_asgi,
}
Call = Callable[..., Answered]


class Program:
    """An example as a program; its address is what it prints."""

    def __init__(self, name: str, issuer: str) -> None:
        self.output: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, *PROGRAMS[name]],
            env={**clean_environment(), "ISSUER": issuer, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self._up = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if "unning on http" in line:
                self._up.set()
        self._up.set()

    def call(self, method: str, target: str, lines: Any = ()) -> Answered:
        assert self._up.wait(60)
        found = re.search(r"unning on (http://127\.0\.0\.1:\d+)", "".join(self.output))
        assert found is not None, self.output
        headers = urllib3.HTTPHeaderDict()
        for name, value in lines:
            headers.add(name, value)
        answer = HTTP.request(method, found[1] + target, headers=headers)
        return Answered(answer.status, list(answer.headers.iteritems()), answer.data)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def programs(service: RunningService) -> Iterator[dict[str, Program]]:
    started = {name: Program(name, f"{service.url}/issuers/default") for name in PROGRAMS}
    yield started
    for program in started.values():
        program.stop()


@pytest.fixture(params=[*PROGRAMS, *CALLERS])
def call(
    request: pytest.FixtureRequest,
    service: RunningService,
    programs: dict[str, Program],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Call]:
    name = request.param
    if name in programs:
        yield programs[name].call
        return
    monkeypatch.setenv("ISSUER", f"{service.url}/issuers/default")
    module = load(name)
    yield lambda *asked: CALLERS[name](module.app, *asked)
    module.verifier.close()


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bearing(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


def test_good_bad_and_missing_tokens_at_every_example(call: Call, service: RunningService) -> None:
    token = service.token(scope="orders:read")
    answer = call("GET", "/orders", bearing(token))
    assert (answer.status, json.loads(answer.body)) == (200, {"orders_of": "alice"})

    assert json.loads(call("GET", "/healthz").body) == {"alive": True}
    refused = {
        "missing": call("GET", "/orders"),
        "forged": call("GET", "/orders", bearing(token[:-8] + "AAAAAAAA")),
        "for others": call("GET", "/orders", bearing(service.token(audience="bills", scope="orders:read"))),
        "in the query": call("GET", f"/orders?access_token={token}"),
        "scope": call("GET", "/orders", bearing(service.token())),
        "twice": call("GET", "/orders", bearing(token) * 2),
        "broken": call("GET", "/orders", [("Authorization", "Bearer a b")]),
    }
    assert {name: one.status for name, one in refused.items()} == {
        "missing": 401,
        "forged": 401,
        "for others": 401,
        "in the query": 401,
        "scope": 403,
        "twice": 400,
        "broken": 400,
    }
    assert all(one.all("WWW-Authenticate")[0].startswith('Bearer realm="orders"') for one in refused.values())


@pytest.mark.parametrize("name", PROGRAMS)
def test_writing_needs_another_scope_and_nothing_of_a_token_is_logged(
    name: str, service: RunningService, programs: dict[str, Program]
) -> None:
    target = "/orders/new" if name == "django_app" else "/orders"
    tokens = [service.token(scope="orders:read"), service.token(scope="orders:write")]
    assert [programs[name].call("POST", target, bearing(token)).status for token in tokens] == [403, 200]
    written = "".join(programs[name].output)
    assert "POST" in written
    assert not any(part in written for token in tokens for part in token.split(".")[1:])


def test_keys_that_cannot_be_had_are_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISSUER", "http://127.0.0.1:9")  # nobody listens there
    key = sw.PrivateJWK.generate("ES256")
    token = sw.sign(b'{"iss":"http://127.0.0.1:9"}', key, typ="at+jwt")
    for name, caller in CALLERS.items():
        module = load(name)
        answer = caller(module.app, "GET", "/orders", bearing(token))
        assert (answer.status, answer.all("Retry-After")) == (503, ["1"])
        module.verifier.close()
