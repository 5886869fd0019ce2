"""Bad input of every kind: a clear error with a reason and the next step, no traceback, nothing lost."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from running_service import COMMAND, RunningService, clean_environment, run_cli

GARBAGE = [
    b"",
    b"\x00\xff\xfe",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"NaN",
    b'{"token":1}',
    b'{"token":"x","token":"y","audience":"a"}',
    b'{"token":"x","audience":"a","more":1}',
    b'{"token":"x","audience":["a"]}',
    b'{"audience":"a"}',
    b'{"token":"x"}',
    b'{"token":"x","audience":""}',
    b'{"token":"x","audience":"*"}',
    b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    b"[" * 100_000,
    b'{"token":"x","audience":"\\ud800"}',
    '{"token":"x"}'.encode("utf-16"),
]


@pytest.mark.parametrize("path", ["/v1/verify", "/v1/issuers/default/tokens", "/v1/issuers/default/sign"])
def test_garbage_bodies_are_a_400_with_a_reason(service: RunningService, path: str) -> None:
    for raw in GARBAGE:
        answer = service.request("POST", path, raw=raw)
        assert answer.status == 400, (path, raw[:40], answer.body)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["reason"].split(".")[0] in ("json", "request", "claims")
    assert service.decide(service.token())["outcome"] == "accepted"


def test_garbage_for_the_write_api_is_a_400_that_does_not_echo_it(service: RunningService) -> None:
    for raw in (b"{", b"[]", b'{"reason":5}', b'{"reason":"' + b"s3cret" * 200 + b'"}', b'{"reason":"x","more":1}'):
        answer = service.request(
            "POST", "/v1/issuers/default/rotate", raw=raw, headers={"Content-Type": "application/json"}
        )
        assert (answer.status, answer.json()["reason"]) == (400, "request.malformed"), raw
        assert b"s3cret" not in answer.body


@pytest.mark.parametrize(
    "token",
    ["x", "a.b.c", "..", "." * 1000, "é.é.é", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "A" * 100_000, "A.B." + "C" * 9],
)
def test_a_token_that_is_garbage_is_decided_as_rejected(service: RunningService, token: str) -> None:
    decision = service.decide(token)
    assert decision["outcome"] == "rejected"
    assert decision["reason"]


def test_a_ten_megabyte_token_is_refused_before_it_is_read(service: RunningService) -> None:
    answer = service.request("POST", "/v1/verify", {"token": "A" * 10_000_000, "audience": "orders"})
    assert (answer.status, answer.json()["reason"]) == (413, "request.too_large")


def test_an_endless_chunked_body_is_cut_off(service: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as peer:
        peer.sendall(b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"A" * 0x10000 + b"\r\n"
        answer = b""
        try:
            for _ in range(200):
                peer.sendall(chunk)
        except OSError:
            pass
        try:
            answer = peer.recv(65_536)
        except OSError:
            return  # the connection was reset: cut off all the same
        assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, "claims.missing"),
        ({"sub": 5}, "claims.wrong_type"),
        ({"sub": "a", "exp": 99999999999}, "claims.malformed"),
        ({"sub": "a", "iss": "https://else.example"}, "claims.malformed"),
        ({"sub": "a", "nbf": "soon"}, "claims.wrong_type"),
    ],
)
def test_claims_that_cannot_be_issued_are_refused(
    service: RunningService, claims: dict[str, object], reason: str
) -> None:
    answer = service.request("POST", "/v1/issuers/default/tokens", {"claims": claims, "audience": "orders"})
    assert (answer.status, answer.json()["reason"]) == (400, reason)


@pytest.mark.parametrize("lifetime_s", [0, -1, 901, 1e300, True, "60"])
def test_a_lifetime_out_of_bounds_is_refused(service: RunningService, lifetime_s: object) -> None:
    body = {"claims": {"sub": "a"}, "audience": "orders", "lifetime_s": lifetime_s}
    answer = service.request("POST", "/v1/issuers/default/tokens", body)
    assert answer.status in (400, 409), answer.body
    assert answer.json()["reason"] in ("guard.lifetime", "claims.lifetime", "request.malformed")


def fails_to_start(home: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [COMMAND, "up", "--home", str(home), "--port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=clean_environment() | environment,
    )
    assert done.returncode == 6, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


def stored(home: Path) -> dict[str, bytes]:
    return {
        str(p): p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


def test_a_port_in_use_is_a_clear_error(service: RunningService, tmp_path: Path) -> None:
    done = run_cli("up", "--home", str(tmp_path / "other"), "--port", str(service.port))
    assert done.returncode == 6
    assert "settings.port_in_use" in done.stderr
    assert "PORT" in done.stderr
    assert not (tmp_path / "other").exists()


def test_a_second_process_on_the_same_data_folder_is_refused(service: RunningService) -> None:
    error = fails_to_start(service.home)
    assert "settings.folder_in_use" in error
    assert service.url in error
    assert service.decide(service.token())["outcome"] == "accepted"


def test_a_wrong_key_encryption_key_is_refused_and_nothing_is_written(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    service.interrupt()
    before = stored(service.home)
    assert "settings.kek_wrong" in fails_to_start(service.home, SEALWRIGHT_KEK="A" * 43)
    assert stored(service.home) == before
    start_service(service.home)


def test_a_missing_key_encryption_key_is_refused_and_nothing_is_written(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    service.interrupt()
    kek = service.home / "kek.key"
    kept = kek.read_bytes()
    kek.unlink()
    before = stored(service.home)
    assert "settings.kek_missing" in fails_to_start(service.home)
    assert stored(service.home) == before
    kek.write_bytes(kept)
    start_service(service.home)


def test_a_malformed_key_encryption_key_is_never_echoed(tmp_path: Path) -> None:
    error = fails_to_start(tmp_path / "data", SEALWRIGHT_KEK="hunter2-is-not-a-key")
    assert "settings.invalid" in error
    assert "hunter2" not in error


def test_an_unreadable_database_is_a_clear_error_and_stays_as_it_is(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    service.interrupt()
    database = service.home / "sealwright.db"
    database.write_bytes(b"this is not a database" * 500)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    before = database.read_bytes()
    assert "settings.database" in fails_to_start(service.home)
    assert database.read_bytes() == before


def test_a_data_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "settings.folder_unwritable" in fails_to_start(tmp_path / "file" / "data")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a read-only file system: Linux only")
def test_a_read_only_disk_is_a_clear_error() -> None:
    # /proc refuses every write to everyone, root included: a disk that turned read-only.
    assert "settings.folder_unwritable" in fails_to_start(Path("/proc/self/sealwright"))


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("SEALWRIGHT_PORT", "many", "PORT"),
        ("SEALWRIGHT_TIMINGS__JWKS_MAX_AGE_S", "-1", "TIMINGS__JWKS_MAX_AGE_S"),
        ("SEALWRIGHT_ISSUERS", '{"default":"none"}', "ISSUERS"),
        ("SEALWRIGHT_ISSUERS", '{"Bad Name":"ES256"}', "ISSUERS"),
        ("SEALWRIGHT_ISSUERS", "not json", "issuers"),
        ("SEALWRIGHT_PUBLIC_URL", "ftp://x", "PUBLIC_URL"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, variable: str, value: str, named: str) -> None:
    done = run_cli("up", "--home", str(tmp_path / "data"), environment=clean_environment() | {variable: value})
    assert done.returncode == 6
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_database_that_vanishes_under_the_service_is_an_error_of_ours(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    with contextlib.closing(sqlite3.connect(service.home / "sealwright.db")) as database, database:
        database.execute("ALTER TABLE audit RENAME TO elsewhere")
    answer = service.request("POST", "/v1/issuers/default/tokens", {"claims": {"sub": "a"}, "audience": "b"})
    assert (answer.status, answer.json()["reason"]) == (503, "catalog.unavailable")
    assert service.request("GET", "/readyz", credential=None).status == 503
    assert "Traceback" not in json.dumps(answer.json())


def test_settings_that_contradict_the_stored_keys_stop_the_start(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    service.interrupt()
    error = fails_to_start(service.home, SEALWRIGHT_ISSUERS='{"default":"EdDSA"}')
    assert "settings.invalid" in error
    assert "ES256" in error
