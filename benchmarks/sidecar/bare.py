"""A bare ASGI app: 200 to everything, on the server of the sidecar and with its settings. PORT WORKERS [headers]."""

from __future__ import annotations

import sys
from functools import partial

from starlette.types import Receive, Scope, Send

from sealwright.services.listening import listening
from sealwright.services.verifier_service.http_server import server_config
from sealwright.services.verifier_service.workers import Workers, serve_alone, stop_in_order
from sealwright.wiring.observing import build_observing

_NO_BODY = (b"content-length", b"0")
_IDENTITY = [
    (b"x-sealwright-issuer", b"https://id.example"),
    (b"x-sealwright-scopes", b"read,write"),
    (b"x-sealwright-subject", b"user-00000000"),
]
_END = {"type": "http.response.body", "body": b""}


class Bare:
    """What the server tells its application is nothing to this one."""

    is_draining, drain_s = False, 0.0

    def __init__(self, *, identity: bool) -> None:
        headers = [*_IDENTITY, _NO_BODY] if identity else [_NO_BODY]
        self._start = {"type": "http.response.start", "status": 200, "headers": headers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send(self._start)
            await send(_END)
            return
        for moment in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{moment}.complete"})

    def refuse_malformed(self) -> None:
        """Nobody counts."""


def main(port: str, workers: str, *options: str) -> None:
    count = int(workers)
    config = server_config(partial(Bare, identity="headers" in options), count)
    stop_in_order()
    with listening("127.0.0.1", int(port), setting="PORT") as listener:
        if count == 1:
            serve_alone(config, [listener])
        else:
            Workers(lambda _: config, count, 0.0, [listener], build_observing(()).observer).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
