"""sealwright fleet join: one command, and a sidecar obeys; nothing is overwritten, and nothing half-written stays."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from command_here import run_here
from joined_sidecar import Start, join, live
from running_service import RunningService, eventually
from running_sidecar import COMMAND
from throwaway_certificates import Authority

WRITTEN = {"verifier.toml", "trust-root.jwks.json", "verifier.credential"}
ISSUERS = '{"default": "ES256", "payments": "EdDSA"}'


def test_a_verifier_that_joined_accepts_is_seen_and_refuses_what_was_revoked(
    start_service: Callable[..., RunningService], start_sidecar: Start, tmp_path: Path
) -> None:
    """Each of its two workers, which share a folder, is a verifier of its own, and the same after a reload."""
    service = start_service(SEALWRIGHT_ISSUERS=ISSUERS)
    folder = join(service, tmp_path / "orders", "--issuer", "default", "--issuer", "payments")
    file = folder / "verifier.toml"
    file.write_text(file.read_text().replace("[service]\n", "[service]\nworkers = 2\n"))
    one = start_sidecar(folder)
    kept, revoked, paid = service.token(), service.token(), service.token("payments")
    assert [one.decide(token)["outcome"] for token in (kept, revoked, paid)] == ["accepted"] * 3
    assert one.decide(service.token(audience="bills"))["reason"] == "claims.audience"
    live(service, 2)
    one.process.send_signal(signal.SIGHUP)
    eventually(lambda: one.metric("sealwright_config_reloads_total", outcome="done") == 2, "both read the file again")
    shown = service.cli("fleet")
    rows = [line.split() for line in shown.stdout.splitlines() if line.startswith("orders/")]
    assert {(row[1], row[4]) for row in rows} == {("live", "default"), ("live", "payments")}, shown.stdout
    assert service.cli("tokens", "revoke", "--token", "-", "--reason", "lost", stdin=revoked).returncode == 0
    eventually(lambda: one.decide(revoked)["reason"] == "token.revoked", "the revoked token is refused")
    assert one.decide(kept)["outcome"] == "accepted"
    done = service.cli("keys", "emergency-rotate", "--reason", "leak", "--wait")
    assert (done.returncode, "2 of 2 verifiers refuse it" in done.stdout) == (0, True), done.stdout
    assert one.decide(kept)["reason"] == "key.revoked"
    assert one.decide(paid)["outcome"] == "accepted", "the other issuer is as it was"


def test_a_service_with_certificates_of_its_own_is_trusted_by_those_of_the_operator(
    start_service: Callable[..., RunningService], start_sidecar: Start, tmp_path: Path
) -> None:
    """Keys, feed and poll: all of them go over TLS with the same CA, which the folder has."""
    authority = Authority(tmp_path)
    pair = authority.issue("service")
    given = {"TLS_CERT_FILE": pair.cert, "TLS_KEY_FILE": pair.key, "CA_FILE": authority.cert}
    service = start_service(**{f"SEALWRIGHT_{name}": str(file) for name, file in given.items()})
    folder = join(service, tmp_path / "orders")
    authority.cert.unlink()
    one = start_sidecar(folder)
    asked = ("--home", str(service.home))
    beside = {name: value for name, value in service.environment.items() if name != "SEALWRIGHT_CA_FILE"}
    signed = run_here("sign", "--audience", "orders", "--claims", '{"sub": "alice"}', *asked, environment=beside)
    assert one.decide(signed.stdout.strip())["outcome"] == "accepted"

    def reports() -> bool:
        shown = json.loads(run_here("fleet", "--json", *asked, environment=beside).stdout)
        return bool(shown["issuers"]["default"]["live"] == 1)

    eventually(reports, "the sidecar reports")


def test_the_folder_is_its_owners_alone_and_the_sidecar_accepts_it(service: RunningService, tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    done = service.cli("fleet", "join", "orders", "--audience", "orders", "--audience", "bills", "--out", str(folder))
    assert done.returncode == 0
    assert f"sealwright-verifier --config {folder / 'verifier.toml'}" in done.stdout
    assert "renews its credential while it runs" in done.stdout
    assert {path.name for path in folder.iterdir()} == WRITTEN
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    checked = subprocess.run(
        [COMMAND, "--config", str(folder / "verifier.toml"), "--check"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, f"valid: {service.url}/issuers/default\n")
    served = service.request("GET", "/.well-known/trust-root.jwks.json", credential=None).json()
    assert json.loads((folder / "trust-root.jwks.json").read_text()) == served


def test_json_says_the_same_and_shows_no_credential(service: RunningService, tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    done = service.cli("fleet", "join", "orders", "--audience", "orders", "--out", str(folder), "--json")
    answer = json.loads(done.stdout)
    assert (answer["name"], answer["folder"]) == ("orders", str(folder))
    assert answer["issuers"] == [f"{service.url}/issuers/default"]
    assert answer["start"] == f"sealwright-verifier --config {folder / 'verifier.toml'}"
    assert answer["credential_expires_in"] == 900
    assert (folder / "verifier.credential").read_text().strip() not in done.stdout


def test_a_credential_of_a_verifier_polls_for_its_issuers_and_does_nothing_else(
    service: RunningService, tmp_path: Path
) -> None:
    credential = (join(service, tmp_path / "orders") / "verifier.credential").read_text().strip()
    entry = service.request("GET", "/v1/audit?action=credential.issued").json()["entries"][-1]
    assert entry["facts"]["subject"] == "orders"
    assert entry["facts"]["scopes"] == ["verifiers:poll:default"]
    assert service.request("GET", "/v1/keys", credential=credential).status == 403


@pytest.mark.parametrize("there", ["folder", "file", "link"])
def test_what_exists_is_left_alone_and_no_credential_is_issued(
    service: RunningService, tmp_path: Path, there: str
) -> None:
    place = tmp_path / "orders"
    make = {"folder": place.mkdir, "file": place.touch, "link": lambda: place.symlink_to(tmp_path / "nowhere")}
    make[there]()
    before = issued(service)
    done = service.cli("fleet", "join", "orders", "--audience", "orders", "--out", str(place))
    assert (done.returncode, "exists already" in done.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == [place]
    assert issued(service) == before


def test_a_place_that_cannot_be_written_is_named(service: RunningService, tmp_path: Path) -> None:
    place = tmp_path / "absent" / "orders"
    before = issued(service)
    done = service.cli("fleet", "join", "orders", "--audience", "orders", "--out", str(place))
    assert (done.returncode, f"cannot write {place}: No such file" in done.stderr) == (1, True)
    assert issued(service) == before


def issued(service: RunningService) -> int:
    return len(service.request("GET", "/v1/audit?action=credential.issued").json()["entries"])


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        (("orders", "--audience", "*"), 6, "an audience is given in full"),
        (("orders", "--audience", 'a"\n[b]'), 6, "an audience is given in full"),
        (("orders", "--audience", "orders", "--issuer", "nobody"), 1, "request.not_found"),
        (("orders", "--audience", "orders", "--issuer", "../x"), 1, "request."),
        (("two words", "--audience", "orders"), 6, "name"),
        (("", "--audience", "orders"), 6, "name"),
        (("orders",), 2, "--audience"),
    ],
)
def test_a_request_that_no_sidecar_could_live_with_leaves_nothing_behind(
    service: RunningService, tmp_path: Path, asked: tuple[str, ...], code: int, told: str
) -> None:
    before = issued(service)
    done = service.cli("fleet", "join", *asked, "--out", str(tmp_path / "made"))
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr
    assert list(tmp_path.iterdir()) == []
    assert issued(service) == before


def test_a_subject_that_was_denied_leaves_nothing_behind(service: RunningService, tmp_path: Path) -> None:
    assert service.cli("credentials", "deny", "thief", "--reason", "stolen").returncode == 0
    done = service.cli("fleet", "join", "thief", "--audience", "orders", "--out", str(tmp_path / "made"))
    assert (done.returncode, "credential.denied" in done.stderr) == (4, True)
    assert list(tmp_path.iterdir()) == []


def test_text_of_an_audience_is_only_ever_text(service: RunningService, tmp_path: Path) -> None:
    said = 'https://orders.example/"ä\\n'
    done = service.cli("fleet", "join", "orders", "--audience", said, "--out", str(tmp_path / "made"))
    assert done.returncode == 0, done.stderr
    (table,) = tomllib.loads((tmp_path / "made" / "verifier.toml").read_text())["issuers"].values()
    assert table["audience"] == [said]


def test_without_a_service_it_says_what_to_do(tmp_path: Path) -> None:
    done = run_here("fleet", "join", "orders", "--audience", "o", "--out", str(tmp_path / "made"), "--home", "/nowhere")
    assert (done.returncode, "start sealwright up" in done.stderr) == (3, True)
    assert list(tmp_path.iterdir()) == []


def test_a_service_whose_name_is_http_on_the_network_is_refused_before_anything_is_written(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    service = start_service(SEALWRIGHT_PUBLIC_URL="http://keys.example")
    done = service.cli("fleet", "join", "orders", "--audience", "orders", "--out", str(tmp_path / "made"))
    assert (done.returncode, "must be https" in done.stderr) == (6, True)
    assert not (tmp_path / "made").exists()
