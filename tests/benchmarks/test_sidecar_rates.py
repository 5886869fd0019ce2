"""The benchmark of the sidecar judges by what it measured, and nobody is timed who lets bad tokens pass unsaid."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from benchmarks.sidecar import proof
from benchmarks.sidecar.__main__ import measure_all
from benchmarks.sidecar.bars import verdicts
from benchmarks.sidecar.contestants import BARE, BARE_HEADERS, ENVOY, HAPROXY, OURS
from benchmarks.sidecar.in_process import CACHED, OBSERVED, RYJWT, InProcess, measured
from benchmarks.sidecar.load import Load
from benchmarks.sidecar.rounds import Row
from benchmarks.sidecar.settings import haproxy_settings, sidecar_settings
from benchmarks.sidecar.tokens import ALGORITHMS
from benchmarks.work import Work

from sealwright.config.verifier_file import check_file


def load(per_second: float, p95_s: float = 0.001) -> Load:
    return Load(per_second, p95_s / 2, p95_s, 1 / per_second, 1)


def test_rates_are_judged_against_each_peer_and_the_bare_app() -> None:
    different = Row("ES256", "different", 1, {OURS: load(900), ENVOY: load(1000), HAPROXY: load(1000)})
    different.paced[OURS] = load(450, 0.0021)
    repeated = Row("RS256", "repeated", 1, {OURS: load(800), BARE: load(1000), BARE_HEADERS: load(900)})
    two = Row("ES256", "different", 2, {OURS: load(1), ENVOY: load(1000)})
    found = {one.target: one.met for one in verdicts([different, repeated, two], [])}
    assert found == {
        "ES256 different: ours over Envoy, one core": False,
        "ES256 different: ours over HAProxy, one core": True,
        "RS256 repeated: ours over the bare app": True,
        "RS256 repeated: ours over the bare app with the same headers": True,
        "ES256 different: p95 at half of saturation, ms": False,
        "RS256 repeated: p95 at half of saturation, ms": None,
        "ryjwt verifying HS256 over a remembered decision": None,
    }


def test_a_remembered_decision_is_judged_in_the_interpreter_of_its_peer() -> None:
    here, there = InProcess("a", {CACHED: 1e-6}), InProcess("b", {CACHED: 2e-6, RYJWT: 1e-6})
    assert [one.met for one in verdicts([], [here, there])] == [True, False, False]


def test_a_decision_in_process_can_be_measured() -> None:
    assert set(measured(1).seconds) >= {CACHED, OBSERVED}


class _Yes(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def credulous() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Yes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_who_says_yes_to_everything_is_found_out(credulous: str) -> None:
    gaps = proof.unchecked(credulous, Work.of("ES256"))
    assert gaps == ["the signature", "alg", "iss", "aud", "exp", "nbf", "the kid of another key"]


def test_the_settings_are_valid(tmp_path: Path) -> None:
    works = {alg: Work.of(alg) for alg in ALGORITHMS}
    assert check_file(sidecar_settings(tmp_path, works, 8701, 1)).faults == ()
    haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if haproxy is not None:
        settings = haproxy_settings(tmp_path, works, {"ES256": 8702, "RS256": 8703}, 1)
        subprocess.run([haproxy, "-c", "-f", str(settings)], check=True, capture_output=True)


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("wrk") is None, reason="NO WRK: scripts/system-tools.sh installs it")
def test_everybody_runs_as_a_real_program_and_proves_what_it_does(tmp_path: Path) -> None:
    found = measure_all(tmp_path, lambda _: None, quick=True)
    assert not {OURS, BARE, ENVOY, HAPROXY} & found.missing.keys(), found.missing
    assert OURS not in found.unchecked
    assert all(row.loads[OURS].per_second > 0 for row in found.rows)
