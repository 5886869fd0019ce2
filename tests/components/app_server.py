"""The composed application behind a real server in this process: a test can reach its clock and its backends."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import urllib3
import uvicorn

from sealwright.client import KeyServiceClient
from sealwright.keys.backend import BackendSignature
from sealwright.services.credentials import OPERATOR_SCOPES
from sealwright.services.key_service.operations import KeyOperations
from sealwright.services.together import build_app
from sealwright.wiring.single_process import SingleProcess


class Hanging:
    """A KeyBackend around a real one, whose signatures do not come until it is let go."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.go = threading.Event()
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        self.calls += 1
        self.go.wait()
        signature: BackendSignature = self._inner.sign(handle, signing_input)
        return signature


class Running:
    """The composed application behind a real server, in this process, so that a backend can be made to hang."""

    def __init__(self, process: SingleProcess, listener: socket.socket | None = None) -> None:
        self.process = process
        self.socket = listener or socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.hanging: list[Hanging] = []
        operations = KeyOperations(process, "test")
        self.credential = operations.issue_operator_credential("operator", OPERATOR_SCOPES)["token"]
        config = uvicorn.Config(build_app(process, operations), log_level="critical")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.http = urllib3.PoolManager(retries=False, timeout=20, maxsize=64)

    def client(self) -> KeyServiceClient:
        return KeyServiceClient(self.url, lambda: self.credential)

    def post(self, path: str, body: Any) -> urllib3.BaseHTTPResponse:
        headers = {"Authorization": f"Bearer {self.credential}"}
        return self.http.request("POST", self.url + path, body=json.dumps(body).encode(), headers=headers)

    def hang(self) -> Hanging:
        hanging = Hanging(self.process.signing.backends["slow"])
        self.process.signing.backends["slow"] = hanging  # type: ignore[assignment]
        self.hanging.append(hanging)
        return hanging

    def stop(self) -> None:
        for backend in self.hanging:
            backend.go.set()
        self.server.should_exit = True
        self.thread.join(20)
        self.socket.close()
        self.http.clear()
