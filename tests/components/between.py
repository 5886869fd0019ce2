"""A proxy in front of a real server: counts what goes through, and puts its own answers before the server's."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

Answer = tuple[int, bytes]


class Between:
    """``answers`` are given first, one for each request. The next answer of an operation in ``lost`` is lost on its
    way back. ``edit`` may change an answer of the server, and ``path`` where a request goes."""

    def __init__(self, url: str, port: int = 0) -> None:
        self.seen: list[str] = []
        self.answers: list[Answer] = []
        self.lost: set[str] = set()
        self.edit: Callable[[str, bytes, Answer], Answer] = lambda _operation, _asked, answer: answer
        self.path: Callable[[str], str] = lambda path: path
        self._upstream = urlsplit(url).netloc
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def pass_on(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        operation = headers.get("X-Amz-Target", f"{method} {path}").removeprefix("TrentService.")
        self.seen.append(operation)
        if self.answers:
            return self.answers.pop(0)
        connection = http.client.HTTPConnection(self._upstream, timeout=10)
        try:
            connection.request(
                method, self.path(path), body, {name: value for name, value in headers.items() if name != "Host"}
            )
            answer = connection.getresponse()
            given = answer.status, answer.read()
            if operation in self.lost:
                self.lost.remove(operation)
                return 500, b""
            return self.edit(operation, body, given)
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"  # one request for each connection: stopping the server ends them all
            wbufsize = 65_536
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer = between.pass_on(self.command, self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                if 300 <= status < 400:
                    self.send_header("Location", between.url + "/elsewhere")
                self.end_headers()
                self.wfile.write(answer)
                self.wfile.flush()

            do_GET = do_POST = do_DELETE = do_LIST = _serve  # noqa: N815 http.server finds them by these names

            def log_message(self, *_: object) -> None:
                pass

        return Handler
