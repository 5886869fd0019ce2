"""sealwright-verifier as a live process: it decides, and it has loaded nothing that holds keys."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_service import HTTP, RunningService, clean_environment, eventually
from running_sidecar import RunningSidecar

COMMAND = str(Path(sys.executable).with_name("sealwright-verifier"))
FORBIDDEN = ("sealwright.keys", "sqlalchemy", "alembic", "pkcs11", "boto3", "botocore", "google", "azure", "hvac")


@pytest.fixture(scope="module")
def sidecar(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    """It reports each module that it imports on stderr."""
    issuer = f"{service.url}/issuers/default"
    settings = {"ISSUER": issuer, "AUDIENCE": "orders", "JWKS_URL": f"{issuer}/.well-known/jwks.json", "TYP": "at+jwt"}
    log = tmp_path_factory.mktemp("sidecar") / "log"
    running = RunningSidecar(log, settings, {"PYTHONPROFILEIMPORTTIME": "1"})
    yield running
    running.stop()


def modules(sidecar: RunningSidecar) -> set[str]:
    lines = (line for line in sidecar.log.read_text().splitlines() if line.startswith("import time:"))
    return {line.rsplit("|", 1)[1].strip() for line in lines}


def test_the_sidecar_decides_over_the_services_tokens(service: RunningService, sidecar: RunningSidecar) -> None:
    token = service.token()
    accepted = sidecar.request("POST", "/v1/verify", {"token": token}).json()
    assert (accepted["outcome"], accepted["claims"]["sub"]) == ("accepted", "alice")
    for other in (service.token(audience="bills"), token[:-4] + "AAAA", "garbage"):
        assert sidecar.request("POST", "/v1/verify", {"token": other}).json()["outcome"] == "rejected"
    wrong = sidecar.request("POST", "/v1/verify", {"token": token, "audience": "bills"})
    assert (wrong.status, wrong.json()["reason"]) == (400, "request.malformed")


def test_a_bound_token_is_no_bearer_token_for_the_service_nor_the_sidecar(
    service: RunningService, sidecar: RunningSidecar
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
    service: RunningService, sidecar: RunningSidecar
) -> None:
    sidecar.request("POST", "/v1/verify", {"token": service.token()})
    sidecar.request("GET", "/metrics")
    loaded = modules(sidecar)
    assert "sealwright.trust.verifier" in loaded
    assert "sealwright.services.verifier_service.app" in loaded
    assert not {name for name in loaded if name.startswith(FORBIDDEN)}


def test_wrong_settings_end_in_one_line_and_exit_code_6() -> None:
    done = subprocess.run([COMMAND], capture_output=True, text=True, timeout=30, check=False, env=clean_environment())
    assert done.returncode == 6
    assert "JWKS_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_a_clear_error(sidecar: RunningSidecar) -> None:
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


def test_ready_means_that_it_can_decide(sidecar: RunningSidecar) -> None:
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
