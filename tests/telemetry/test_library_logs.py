"""What uvicorn and other libraries log has the shape of our own lines, in a process of its own."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from typing import Any

import pytest

from sealwright.jose.secret_jwk import SecretJWK
from sealwright.jose.signing import sign
from sealwright.telemetry.logs import JSONLines

TOKEN = sign(b'{"sub":"alice"}', SecretJWK.generate("HS256"))
DIGEST = r"sha256:[0-9a-f]{16}"

SERVER = """
import asyncio, logging, socket, sys
import uvicorn
from sealwright.telemetry.logs import json_logging_config

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan here")
    if scope["path"] == "/broken":
        raise ValueError("deep inside " + scope["query_string"].decode())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

async def ask(port, text):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode())
    await reader.read()
    writer.close()

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.asking = asyncio.get_running_loop().create_task(self.asked())

    async def asked(self):
        port = listener.getsockname()[1]
        for path in ("/fine", "/broken"):
            await ask(port, f"GET {path}?token={sys.argv[1]} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
        await ask(port, "garbage\\r\\n\\r\\n")
        self.should_exit = True

listener = socket.create_server(("127.0.0.1", 0))
server = Server(uvicorn.Config(app, log_config=json_logging_config()))
logging.getLogger("urllib3.connectionpool").error("gave up on %s", "this\\nthing")
server.run(sockets=[listener])
"""


@pytest.fixture(scope="module")
def written() -> subprocess.CompletedProcess[str]:
    """A uvicorn with our configuration that was asked something fine, something broken and garbage."""
    command = [sys.executable, "-c", SERVER, TOKEN]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def test_every_line_of_the_process_is_json_in_our_shape(written: subprocess.CompletedProcess[str]) -> None:
    assert written.stdout == ""
    lines = [json.loads(line) for line in written.stderr.splitlines()]
    assert {line["event"] for line in lines} == {"process.message"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    seen = [(line["level"], line["logger"], line["message"]) for line in lines]
    assert seen == [
        ("error", "urllib3.connectionpool", "gave up on this\nthing"),
        ("error", "uvicorn.error", "Exception in ASGI application\n"),
        ("warning", "uvicorn.error", "Invalid HTTP request received."),
    ]


def test_there_is_no_access_log_and_no_token(written: subprocess.CompletedProcess[str]) -> None:
    assert "/fine" not in written.stderr
    assert TOKEN.split(".")[2] not in written.stderr
    assert TOKEN.split(".")[1] not in written.stderr


def test_an_exception_keeps_its_trace_without_the_token(written: subprocess.CompletedProcess[str]) -> None:
    (broken,) = (line for line in map(json.loads, written.stderr.splitlines()) if "exception" in line)
    assert re.search(rf"ValueError: deep inside token={DIGEST}$", broken["exception"])


def formatted(message: Any, *arguments: object) -> dict[str, Any]:
    record = logging.LogRecord("somebody", logging.WARNING, __file__, 1, message, arguments, None)
    line: dict[str, Any] = json.loads(JSONLines().format(record))
    return line


def test_a_token_among_the_arguments_is_replaced() -> None:
    line = formatted("retrying /verify?token=%s now", TOKEN)
    assert re.fullmatch(rf"retrying /verify\?token={DIGEST} now", line["message"])


def test_a_token_at_the_end_of_what_is_shown_is_not_cut_into_the_open() -> None:
    header, payload, _ = TOKEN.split(".")
    before_the_cut = len(header) + len(payload) + 10
    line = formatted(" " * (8192 - before_the_cut) + TOKEN)
    assert payload not in line["message"]


def test_arguments_that_do_not_fit_are_left_out() -> None:
    assert formatted("%d and %d", TOKEN)["message"] == "%d and %d"


@pytest.mark.parametrize("text", ["a" * 2_000_000, "aaaaaaaaaaaaa." * 150_000, "a." * 1_000_000, "." * 2_000_000])
def test_a_huge_message_is_cut_in_linear_time(text: str) -> None:
    assert len(formatted(text)["message"]) == 8192


def test_hostile_text_stays_on_one_ascii_line(hostile: str) -> None:
    record = logging.LogRecord("somebody", logging.ERROR, __file__, 1, "%s", (hostile,), None)
    line = JSONLines().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["level"] == "error"


def test_a_long_trace_keeps_its_end_where_the_error_is() -> None:
    try:
        raise ValueError("x" * 20_000 + " the end")
    except ValueError as error:
        record = logging.LogRecord("somebody", logging.ERROR, __file__, 1, "failed", (), (ValueError, error, None))
    line = json.loads(JSONLines().format(record))
    assert len(line["exception"]) == 8192
    assert line["exception"].endswith(" the end")
