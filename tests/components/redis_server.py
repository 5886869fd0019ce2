"""A throw-away Redis on a Unix socket and a free loopback port; its files lie in a temporary folder."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import redis
from servers import free_port

DURABLE = {"appendonly": "yes", "appendfsync": "always"}
FORGETFUL = {"appendonly": "no"}


class RedisServer:
    """Started when it is made, stopped by its pid. ``settings`` are lines of its configuration."""

    def __init__(self, settings: dict[str, str] = FORGETFUL) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("Redis is not installed: apt-get install redis-server")
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._settings = settings
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.unix_url = f"unix://{self._folder}/socket"
        atexit.register(self.close)
        self.start()

    @property
    def pid(self) -> int:
        return self._server.pid

    def start(self) -> None:
        chosen = {
            "save": "",
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": f"{self._folder}/socket",
            "dir": str(self._folder),
            "maxmemory": "64mb",
            "maxmemory-policy": "noeviction",
            **self._settings,
        }
        command = ["redis-server", *(part for name, value in chosen.items() for part in (f"--{name}", value))]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._server.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "Redis does not answer"
            time.sleep(0.02)

    def stop(self, how: int = signal.SIGKILL) -> None:
        if self._server.poll() is None:
            self._server.send_signal(how)
            self._server.wait(30)

    def send_signal(self, number: int) -> None:
        os.kill(self._server.pid, number)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.send_signal(signal.SIGCONT)
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def frozen(self) -> object:
        self.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send_signal(signal.SIGCONT)

    def command(self, *words: str | bytes) -> object:
        with redis.Redis(port=self.port, protocol=2) as client:
            return client.execute_command(*words)

    def set_new(self) -> None:
        """Say that nothing was claimed before, as an operator does once."""
        self.command("SET", "sealwright:replay", "new")

    def _answers(self) -> bool:
        try:
            return self.command("PING") is True
        except redis.exceptions.RedisError:
            return False


@functools.cache
def shared() -> RedisServer:
    """The one of this test process."""
    server = RedisServer()
    server.set_new()
    return server
