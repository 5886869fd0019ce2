"""Calls ASGI and WSGI applications in this process, as a server does that changes nothing on the way."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_to_bytes
from wsgiref.validate import validator

Lines = Iterable[tuple[str, str]]


@dataclass
class Answered:
    status: int
    lines: list[tuple[str, str]]
    body: bytes
    messages: list[dict[str, Any]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.lines if key.lower() == name.lower()]


def call_wsgi(app: Any, method: str, target: str, lines: Lines = (), **environ: Any) -> Answered:
    """Joins lines of one name by a comma and takes _ for -, as PEP 3333 has it."""
    path, _, query = target.partition("?")
    headers: dict[str, str] = {}
    for name, value in lines:
        key = f"HTTP_{name.upper().replace('-', '_')}"
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    usual = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started[:] = [int(status[:3]), headers]
        return lambda _: None

    parts = validator(app)({**usual, **headers, **environ}, start_response)
    try:
        body = b"".join(parts)
    finally:
        parts.close()
    return Answered(started[0], started[1], body)


def call_asgi(app: Any, method: str, target: str, lines: Lines = (), *, body: bytes = b"", **scope: Any) -> Answered:
    return asyncio.run(acall_asgi(app, method, target, lines, body=body, **scope))


async def acall_asgi(
    app: Any, method: str, target: str, lines: Lines = (), *, body: bytes = b"", **scope: Any
) -> Answered:
    """One request, or with ``type="websocket"`` one handshake; its messages are all that the application sent."""
    path, _, query = target.partition("?")
    usual = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in lines],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    sent: list[dict[str, Any]] = []
    is_websocket = scope.get("type") == "websocket"
    waiting = [{"type": "websocket.connect"} if is_websocket else {"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await asyncio.sleep(60)  # nobody hangs up
        raise AssertionError("the application waits for more than there is")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({**usual, **scope}, receive, send)
    start = next((one for one in sent if one["type"].endswith("response.start")), {"status": 0, "headers": []})
    answer = b"".join(one.get("body", b"") for one in sent if one["type"].endswith("response.body"))
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    return Answered(start["status"], headers, answer, sent)
