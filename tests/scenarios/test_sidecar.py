"""sealwright-verifier as a live process: it decides, and it has loaded nothing that holds keys."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from running_service import HTTP, Answer, RunningService, clean_environment, eventually
from running_sidecar import RunningSidecar

COMMAND = str(Path(sys.executable).with_name("sealwright-verifier"))
FORBIDDEN = ("sealwright.keys", "sqlalchemy", "alembic", "pkcs11", "boto3", "botocore", "google", "azure", "hvac")


class Sidecar:
    """The program, reporting each module that it imports (PYTHONPROFILEIMPORTTIME writes them to stderr)."""

    def __init__(self, service: RunningService, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        issuer = f"{service.url}/issuers/default"
        self.log = log
        settings = {
            "SEALWRIGHT_VERIFIER_PORT": self.url.rsplit(":", 1)[1],
            "SEALWRIGHT_VERIFIER_ISSUER": issuer,
            "SEALWRIGHT_VERIFIER_AUDIENCE": "orders",
            "SEALWRIGHT_VERIFIER_JWKS_URL": f"{issuer}/.well-known/jwks.json",
            "SEALWRIGHT_VERIFIER_TYP": "at+jwt",
            "PYTHONPROFILEIMPORTTIME": "1",
        }
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [COMMAND], stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=clean_environment() | settings
            )
        eventually(self._alive, "the sidecar starts")

    def _alive(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.request("GET", "/healthz").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def request(self, method: str, path: str, body: object = None) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        return Answer(HTTP.request(method, self.url + path, body=content))

    def modules(self) -> set[str]:
        lines = (line for line in self.log.read_text().splitlines() if line.startswith("import time:"))
        return {line.rsplit("|", 1)[1].strip() for line in lines}


@pytest.fixture(scope="module")
def sidecar(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    running = Sidecar(service, tmp_path_factory.mktemp("sidecar") / "log")
    yield running
    running.process.terminate()
    running.process.wait(20)


def test_the_sidecar_decides_over_the_services_tokens(service: RunningService, sidecar: Sidecar) -> None:
    token = service.token()
    accepted = sidecar.request("POST", "/v1/verify", {"token": token}).json()
    assert (accepted["outcome"], accepted["claims"]["sub"]) == ("accepted", "alice")
    for other in (service.token(audience="bills"), token[:-4] + "AAAA", "garbage"):
        assert sidecar.request("POST", "/v1/verify", {"token": other}).json()["outcome"] == "rejected"
    wrong = sidecar.request("POST", "/v1/verify", {"token": token, "audience": "bills"})
    assert (wrong.status, wrong.json()["reason"]) == (400, "request.malformed")


def test_a_bound_token_is_no_bearer_token_for_the_service_nor_the_sidecar(
    service: RunningService, sidecar: Sidecar
) -> None:
    shown: list[dict[str, str]] = [{}, {"scheme": "bearer", "method": "GET", "url": "https://orders.example/"}]
    for cnf in ({"jkt": "A" * 43}, {"x5t#S256": "A" * 43}, {}, "text"):
        token = service.token(cnf=cnf)
        for evidence in shown:
            body = {"token": token, "audience": "orders", **evidence}
            answers = [
                service.request("POST", "/v1/verify", body, credential=None).json(),
                sidecar.request("POST", "/v1/verify", body).json(),
            ]
            assert {(one["outcome"], one["reason"].partition(".")[0]) for one in answers} == {("rejected", "binding")}


def test_the_live_process_has_loaded_neither_stored_keys_nor_any_driver(
    service: RunningService, sidecar: Sidecar
) -> None:
    sidecar.request("POST", "/v1/verify", {"token": service.token()})
    sidecar.request("GET", "/metrics")
    loaded = sidecar.modules()
    assert "sealwright.trust.verifier" in loaded
    assert "sealwright.services.verifier_service.app" in loaded
    assert not {name for name in loaded if name.startswith(FORBIDDEN)}


def test_wrong_settings_end_in_one_line_and_exit_code_6() -> None:
    done = subprocess.run([COMMAND], capture_output=True, text=True, timeout=30, check=False, env=clean_environment())
    assert done.returncode == 6
    assert "JWKS_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_a_clear_error(sidecar: Sidecar) -> None:
    settings = {
        "SEALWRIGHT_VERIFIER_PORT": sidecar.url.rsplit(":", 1)[1],
        "SEALWRIGHT_VERIFIER_ISSUER": "https://id.example",
        "SEALWRIGHT_VERIFIER_AUDIENCE": "orders",
        "SEALWRIGHT_VERIFIER_JWKS_URL": "https://id.example/jwks.json",
    }
    done = subprocess.run(
        [COMMAND], capture_output=True, text=True, timeout=30, check=False, env=clean_environment() | settings
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (6, 1)
    assert "settings.port_in_use" in done.stderr
    assert "SEALWRIGHT_VERIFIER_PORT" in done.stderr


def test_ready_means_that_it_can_decide(sidecar: Sidecar) -> None:
    assert sidecar.request("GET", "/readyz").status == 200


def test_an_issuer_in_a_file_gets_the_access_tokens_of_the_service_by_profile_and_discovery(
    service: RunningService, tmp_path: Path
) -> None:
    issuer = f"{service.url}/issuers/default"
    (tmp_path / "verifier.toml").write_text(
        f'[issuers."{issuer}"]\nprofile = "at+jwt"\naudience = "orders"\ndiscovery = true\nmaximum_lifetime = "15m"\n'
    )
    running = RunningSidecar(tmp_path / "log", {"CONFIG": str(tmp_path / "verifier.toml")})
    try:
        decision = running.decide(service.token(scope="orders:read"))
        assert decision["outcome"] == "accepted", decision
        assert decision["identity"] == {"issuer": issuer, "subject": "alice", "scopes": ["orders:read"]}
        assert running.decide(service.token(audience="bills"))["reason"] == "claims.audience"
    finally:
        running.stop()


OBEYING = """
[sealwright]
name = "orders-1"
trust_root_file = "root.json"
state_folder = "state"
[issuers."{issuer}"]
profile = "at+jwt"
audience = "orders"
discovery = true
feed_url = "{issuer}/.well-known/{feed}"
"""


@pytest.mark.parametrize(("feed", "outcome"), [("revoked-keys", "accepted"), ("nothing", "undecided")])
def test_a_feed_that_is_obeyed_is_told_of_and_without_it_tokens_are_undecided(
    service: RunningService, tmp_path: Path, feed: str, outcome: str
) -> None:
    issuer, known = f"{service.url}/issuers/default", outcome == "accepted"
    root = HTTP.request("GET", f"{service.url}/.well-known/trust-root.jwks.json").data
    (tmp_path / "root.json").write_bytes(root)
    (tmp_path / "verifier.toml").write_text(OBEYING.format(issuer=issuer, feed=feed))
    running = RunningSidecar(tmp_path / "log", {"CONFIG": str(tmp_path / "verifier.toml")})
    try:
        if known:
            eventually(lambda: running.request("GET", "/readyz").status == 200, "the feed is current")
        assert running.decide(service.token())["outcome"] == outcome
        assert running.request("GET", "/readyz").status == (200 if known else 503)
        status = running.request("GET", "/v1/status").json()
        assert (status["issuers"][issuer]["feed"]["current"], status["poll"]) == (known, None)
    finally:
        running.stop()
