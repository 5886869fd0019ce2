"""A sidecar with two workers behind one port and one unix socket: it survives the end of either, and stops in order."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from running_service import clean_environment, eventually
from running_sidecar import COMMAND, RunningSidecar
from servers import free_port

import sealwright as sw

ISSUER = "https://id.example"
KEY = sw.PrivateJWK.generate("ES256", key_id="k1")
ASK = {"X-Original-Method": "GET", "X-Original-URI": "/orders"}


def written(*, audience: str = "orders", workers: int = 2, more: str = "") -> str:
    service = f'[service]\nworkers = {workers}\nsocket = "run/sidecar.sock"\nsocket_mode = "0600"\n{more}\n'
    return f'{service}[issuers."{ISSUER}"]\nprofile = "any"\naudience = "{audience}"\nkeys_file = "keys.json"\n'


def bearer(audience: str = "orders") -> dict[str, str]:
    token = sw.sign_claims({"sub": "alice"}, KEY, issuer=ISSUER, audience=audience, lifetime_s=900)
    return {**ASK, "Authorization": f"Bearer {token}"}


class Caller:
    """Each request on a connection of its own, over the unix socket or over TCP."""

    def __init__(self, sidecar: RunningSidecar, path: Path | None = None) -> None:
        self.port, self.path = int(sidecar.url.rsplit(":", 1)[1]), path

    def connect(self) -> socket.socket:
        if self.path is None:
            return socket.create_connection(("127.0.0.1", self.port), timeout=10)
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(10)
        made.connect(str(self.path))
        return made

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = self.connect()
        try:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def raw(self, content: bytes) -> bytes:
        """What comes back, until the server closes."""
        with self.connect() as connection:
            with suppress(OSError):  # it closed while we still sent
                connection.sendall(content)
            return until_closed(connection)


def until_closed(connection: socket.socket) -> bytes:
    got = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            got += piece
    return got


def children(parent: int) -> list[int]:
    """The workers: the children that serve."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii").split()
    return [int(pid) for pid in listed if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def counted(page: bytes, name: str, worker: int | None = None) -> float:
    label = "" if worker is None else f'worker="{worker}"'
    lines = [line for line in page.decode().splitlines() if line.startswith(name) and label in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("s")
    (made / "keys.json").write_text(json.dumps({"keys": [KEY.public.to_dict()]}))
    (made / "verifier.toml").write_text(written())
    (made / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:  # as a process that was killed leaves it
        dead.bind(str(made / "run" / "sidecar.sock"))
    return made


@pytest.fixture(scope="module")
def sidecar(folder: Path) -> Iterator[RunningSidecar]:
    running = RunningSidecar(folder / "log", {"CONFIG": str(folder / "verifier.toml")})
    eventually(lambda: len(children(running.process.pid)) == 2, "two workers run")
    page = Caller(running)
    eventually(
        lambda: counted(page.get("/metrics")[1], "sealwright_workers_unanswered") == 0, "both tell their figures"
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def slow(sidecar: RunningSidecar) -> Iterator[tuple[socket.socket, float]]:
    """A client that began to send headers when the module began."""
    with Caller(sidecar).connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: ")
        yield connection, time.monotonic()


@pytest.fixture
def tcp(sidecar: RunningSidecar, slow: object) -> Caller:
    return Caller(sidecar)


@pytest.fixture
def unix(sidecar: RunningSidecar, folder: Path) -> Caller:
    return Caller(sidecar, folder / "run" / "sidecar.sock")


def test_both_sockets_decide_and_the_figures_of_all_workers_add_up(tcp: Caller, unix: Caller, folder: Path) -> None:
    assert (folder / "run" / "sidecar.sock").stat().st_mode & 0o777 == 0o600
    before = counted(tcp.get("/metrics")[1], "jws_verify_total")
    shown = bearer()
    for caller in (tcp, unix) * 20:
        assert caller.get("/auth-request", shown)[0] == 200
    for caller in (tcp, unix):
        page = caller.get("/metrics")[1]
        assert counted(page, "jws_verify_total") == before + 40
        assert counted(page, "jws_verify_total", 0) + counted(page, "jws_verify_total", 1) == before + 40
        assert page.count(b"# TYPE jws_verify_total counter") == 1
    assert unix.get("/v1/status")[0] == 200


MALFORMED = {
    "two lengths": b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "a bare line feed in a header": b"GET /healthz HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "a space before the colon": b"GET /healthz HTTP/1.1\r\nA : b\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "a NUL": b"GET /healthz HTTP/1.1\r\nA: \0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no path": b"GET healthz HTTP/1.1\r\n\r\n",
}
LARGE = {
    "a header": b"GET /healthz HTTP/1.1\r\nA: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\n" + b"A: a\r\n" * 100_000 + b"\r\n",
    "a path": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
}


def test_what_is_no_http_or_too_large_is_refused_and_counted_and_leaves_no_trace(
    tcp: Caller, sidecar: RunningSidecar
) -> None:
    before = counted(
        tcp.get("/metrics")[1], 'jws_verify_total{alg="unknown",issuer="unknown",reason="request.malformed"'
    )
    for name, content in MALFORMED.items():
        assert tcp.raw(content).startswith(b"HTTP/1.1 400 "), name
    for name, content in LARGE.items():
        got = tcp.raw(content)
        assert got.startswith(b"HTTP/1.1 431 ") or got == b"", name  # b"": reset, since we still sent
    page = tcp.get("/metrics")[1]
    refused = counted(page, 'jws_verify_total{alg="unknown",issuer="unknown",reason="request.malformed"') - before
    assert refused == len(MALFORMED) + len(LARGE)
    assert "Traceback" not in sidecar.log.read_text()


def test_an_upgrade_is_answered_and_ends_the_connection(tcp: Caller) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    got = tcp.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + smuggled)
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.count(b"HTTP/1.1") == 1


CHUNKED = (
    "POST {} HTTP/1.1\r\nHost: x\r\nX-Original-Method: GET\r\nX-Original-URI: /o\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def test_a_trailer_is_no_header(tcp: Caller) -> None:
    token = bearer()["Authorization"].encode()
    asked = CHUNKED.format("/auth-request").replace("chunked", "chunked\r\nConnection: close").encode()
    assert tcp.raw(asked + b"0\r\nAuthorization: " + token + b"\r\n\r\n").startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", ["/auth-request", "/v1/verify"])
@pytest.mark.parametrize("never_ends", [b"0\r\n" + b"A: b\r\n" * 10_000, b"0\r\nA: " + b"a" * 60_000])
def test_what_follows_headers_and_never_ends_is_cut(tcp: Caller, path: str, never_ends: bytes) -> None:
    most_bytes = 32 * 1024 * 1024
    with tcp.connect() as connection:
        connection.sendall(CHUNKED.format(path).encode() + never_ends)
        sent = 0
        with suppress(OSError):
            while sent < most_bytes:
                connection.sendall(never_ends[3:])
                sent += len(never_ends)
        assert sent < most_bytes


def test_after_a_body_that_was_read_the_connection_is_used_again(tcp: Caller) -> None:
    body = json.dumps({"token": bearer()["Authorization"].removeprefix("Bearer ")}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % one for one in body) + b"0\r\n\r\n"
    asked = CHUNKED.format("/v1/verify").encode() + chunks
    got = tcp.raw(asked * 2 + asked.replace(b"Host: x", b"Connection: close"))
    assert got.count(b'"outcome":"accepted"') == 3


def test_a_forwarded_address_makes_nobody_near(tcp: Caller) -> None:
    """The other way round than an attacker: if it were believed, this caller would not be on loopback."""
    assert tcp.get("/v1/status", {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"})[0] == 200


def test_a_reload_reaches_all_workers_while_requests_run_and_none_of_them_fails(
    tcp: Caller, sidecar: RunningSidecar, folder: Path
) -> None:
    mine, others = bearer(), bearer("bills")
    answers: list[int] = []
    done = threading.Event()

    def asks() -> None:
        while not done.is_set():
            answers.append(tcp.get("/auth-request", mine)[0])

    def reloads() -> list[float]:
        page = tcp.get("/metrics")[1]
        return [counted(page, 'sealwright_config_reloads_total{outcome="done"', worker) for worker in (0, 1)]

    callers = [threading.Thread(target=asks) for _ in range(2)]
    for one in callers:
        one.start()
    before = reloads()
    sidecar.process.send_signal(signal.SIGHUP)
    eventually(lambda: reloads() == [count + 1 for count in before], "both workers read the file again")
    done.set()
    for one in callers:
        one.join()
    assert set(answers) == {200}
    (folder / "verifier.toml").write_text(written(audience="bills"))  # and by itself, on a change
    eventually(lambda: reloads() == [count + 2 for count in before], "both workers saw the change")
    for _ in range(20):
        assert (tcp.get("/auth-request", mine)[0], tcp.get("/auth-request", others)[0]) == (401, 200)
    (folder / "verifier.toml").write_text(written())
    eventually(lambda: reloads() == [count + 3 for count in before], "both workers are as before")


def test_a_worker_that_is_killed_is_missed_for_a_moment_and_comes_back_with_its_counters_at_zero(
    tcp: Caller, unix: Caller, sidecar: RunningSidecar
) -> None:
    shown = bearer()
    answers: list[int | str] = []
    done = threading.Event()

    def asks() -> None:
        while not done.is_set():
            try:
                answers.append(unix.get("/auth-request", shown)[0])
            except (OSError, http.client.HTTPException):
                answers.append("cut")

    def all_tell() -> bool:
        return counted(tcp.get("/metrics")[1], "sealwright_workers_unanswered") == 0

    workers = children(sidecar.process.pid)
    page = tcp.get("/metrics")[1]
    before = [counted(page, "jws_verify_total", number) for number in (0, 1)]
    caller = threading.Thread(target=asks)
    caller.start()
    os.kill(workers[0], signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{workers[0]}").exists(), "the parent buries it")
    eventually(lambda: len(children(sidecar.process.pid)) == 2 and all_tell(), "another takes its place", 40)
    done.set()
    caller.join()
    assert answers.count("cut") <= 1
    assert set(answers) <= {200, "cut"}
    assert workers[1] in children(sidecar.process.pid)
    page = tcp.get("/metrics")[1]
    after = [counted(page, "jws_verify_total", number) for number in (0, 1)]
    assert after[1] > before[1]
    assert sum(after) <= before[1] + len(answers)
    ended = [json.loads(line) for line in sidecar.log.read_text().splitlines() if "worker.ended" in line]
    assert [(line["worker"], line["exit_code"]) for line in ended] == [(0, -9)]


def test_headers_that_never_end_do_not_hold_a_connection(slow: tuple[socket.socket, float]) -> None:
    connection, began = slow
    connection.settimeout(30)
    assert connection.recv(10) == b""
    assert time.monotonic() - began >= 5


def test_another_one_on_the_same_socket_is_refused(sidecar: RunningSidecar, folder: Path) -> None:
    environment = clean_environment() | {"SEALWRIGHT_VERIFIER_PORT": "0"}
    command = [COMMAND, "--config", str(folder / "verifier.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert (done.returncode, len(done.stderr.splitlines())) == (6, 1)
    assert "settings.port_in_use" in done.stderr


def test_a_folder_whose_path_is_too_long_for_sockets_stops_the_start(folder: Path, tmp_path: Path) -> None:
    (deep := tmp_path / ("d" * 100)).mkdir()
    (tmp_path / "keys.json").write_bytes((folder / "keys.json").read_bytes())
    (tmp_path / "verifier.toml").write_text(written().replace('socket = "run/sidecar.sock"\nsocket_mode = "0600"', ""))
    environment = clean_environment() | {"SEALWRIGHT_VERIFIER_PORT": str(free_port()), "TMPDIR": str(deep)}
    command = [COMMAND, "--config", str(tmp_path / "verifier.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False, env=environment)
    assert (done.returncode, len(done.stderr.splitlines())) == (6, 1)
    assert "name one with TMPDIR" in done.stderr
    assert list(deep.iterdir()) == []


def test_an_orderly_stop_answers_what_is_under_way_and_leaves_nothing(
    tcp: Caller, sidecar: RunningSidecar, folder: Path
) -> None:
    body = json.dumps({"token": bearer()["Authorization"].removeprefix("Bearer ")}).encode()
    workers = children(sidecar.process.pid)
    with tcp.connect() as connection:
        connection.sendall(b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection.sendall(body[:10])
        time.sleep(0.2)
        sidecar.process.send_signal(signal.SIGTERM)
        eventually(lambda: not accepts(tcp), "it takes no more connections")
        connection.sendall(body[10:])
        assert b'"outcome":"accepted"' in until_closed(connection)
    assert sidecar.process.wait(20) == 0
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert list((folder / "run").iterdir()) == []
    log = sidecar.log.read_text()
    assert "Traceback" not in log
    assert "token.decided" not in "".join(line for line in log.splitlines() if '"accepted"' in line)


def accepts(caller: Caller) -> bool:
    try:
        caller.get("/healthz")
    except (OSError, http.client.HTTPException):
        return False
    return True


@pytest.fixture
def private() -> Iterator[Path]:
    """A short path: sockets lie in it."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_workers_whose_parent_was_killed_stop_by_themselves_and_drain_first(
    tmp_path: Path, folder: Path, private: Path
) -> None:
    (tmp_path / "keys.json").write_bytes((folder / "keys.json").read_bytes())
    (tmp_path / "verifier.toml").write_text(written(more="drain = 1"))
    running = RunningSidecar(tmp_path / "log", {"CONFIG": str(tmp_path / "verifier.toml")}, {"TMPDIR": str(private)})
    caller, workers = Caller(running), children(running.process.pid)
    running.process.kill()
    running.process.wait(10)
    ready: list[int] = []

    def stopped() -> bool:
        try:
            ready.append(caller.get("/readyz")[0])
        except (OSError, http.client.HTTPException):
            return True
        return False

    eventually(stopped, "the workers stop")
    assert 503 in ready  # alive, and not ready any more, before they stopped
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the workers are gone")
    assert list(private.iterdir()) == []
