"""An application behind a proxy: it answers with what it saw, line by line, and remembers it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import Any, BinaryIO


class EchoApp:
    """``seen`` are the requests that came through; ``pages`` are answered as they are, to whoever asks directly."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.pages: dict[str, bytes] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                connection.sendall(self._answer(line, stream))

    def _answer(self, line: bytes, stream: BinaryIO) -> bytes:
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = _fields(stream)
        named = {name.lower(): value for name, value in headers}
        if target in self.pages:
            return _response(b"200 OK", self.pages[target])
        body, trailers = _body(named, stream)
        seen = {"method": method, "target": target, "headers": headers, "body": body, "trailers": trailers}
        self.seen.append(seen)
        if named.get("upgrade", "").lower() == "websocket" and "upgrade" in named.get("connection", "").lower():
            return b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
        return _response(b"200 OK", b"" if method == "HEAD" else json.dumps(seen).encode())


def _fields(stream: BinaryIO) -> list[tuple[str, str]]:
    found = []
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        found.append((name, value.strip()))
    return found


def _body(named: dict[str, str], stream: BinaryIO) -> tuple[str, list[tuple[str, str]]]:
    if "chunked" not in named.get("transfer-encoding", ""):
        return stream.read(int(named.get("content-length", "0"))).decode("latin-1"), []
    body = b""
    while size := int(stream.readline().strip() or b"0", 16):
        body += stream.read(size)
        stream.readline()
    return body.decode("latin-1"), _fields(stream)


def _response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)
