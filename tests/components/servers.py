"""Real servers as children: started on a free loopback port, waited for, stopped by their process id."""

from __future__ import annotations

import atexit
import itertools
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

BIN = Path(__file__).parents[2] / ".tools" / "servers" / "bin"
START_S = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str) -> list[str]:
    """Scripts are run by the interpreter beside them: their own first line names the place they were installed to."""
    if not (BIN / name).exists():
        pytest.skip(f"NO {name.upper()}: scripts/system-tools.sh installs it below .tools/servers")
    return [str(BIN / "python"), str(BIN / name)]


def waiting_connections(silent: socket.socket) -> int:
    """How many connections came: a call that waits for longer than it was told to is not tried three times."""
    silent.setblocking(False)
    for count in itertools.count():
        try:
            silent.accept()[0].close()
        except BlockingIOError:
            return count
    raise AssertionError


class Server:
    """One child process. It can be stopped and started again on its port; it never outlives this process."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], is_ready: Callable[[], bool]) -> None:
        self._command = command
        self._environment = environment
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.stop)
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(START_S * 20):
            if self._process.poll() is not None:
                break
            if self._is_ready():
                return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"{self._command[1]} did not start")

    def signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
