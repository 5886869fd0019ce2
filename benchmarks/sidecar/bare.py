"""A bare ASGI app: 200 to everything, on the server of the sidecar and with its settings. PORT WORKERS [headers]."""

from __future__ import annotations

import sys

import uvicorn
from starlette.types import Receive, Scope, Send

from sealwright.wiring.observing import log_config

_HEADERS = [(b"content-length", b"0")]
_IDENTITY = [
    (b"x-sealwright-issuer", b"https://id.example"),
    (b"x-sealwright-scopes", b"read,write"),
    (b"x-sealwright-subject", b"user-00000000"),
]
_END = {"type": "http.response.body", "body": b""}
_start = {"type": "http.response.start", "status": 200, "headers": _HEADERS}


async def app(scope: Scope, _: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send(_start)
        await send(_END)


async def app_with_headers(scope: Scope, _: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send(_start_with_headers)
        await send(_END)


_start_with_headers = {**_start, "headers": [*_IDENTITY, *_HEADERS]}


def main(port: str, workers: str, *headers: str) -> None:
    name = "app_with_headers" if headers else "app"
    options = {"proxy_headers": False, "server_header": False, "date_header": False, "access_log": False, "ws": "none"}
    uvicorn.run(f"benchmarks.sidecar.bare:{name}", port=int(port), workers=int(workers), lifespan="off",
                log_config=log_config(), **options)  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
