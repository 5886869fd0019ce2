"""The clients: each in a process of its own, asked over JSON lines, so that they can be stopped and compared."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.key_cache.rig import Rig
from benchmarks.newer_python import ROOT, python_with_ryjwt

INSTALLED = ROOT / ".tools" / "node"  # imports of an evaluated script are looked up from here
SCRIPT = Path(__file__).with_name("npm_jose.mjs")
SHORT_S = 1.0  # the cooldown that a peer's whole run is made with; its default is tried where that matters


@dataclass(frozen=True)
class Contestant:
    """``cooldown_s`` None is the client's own default, and "" as ``module`` is npm jose."""

    name: str
    module: str
    how: str = "sync"
    cooldown_s: float | None = None
    is_ours: bool = False
    everything: bool = True  # or only what shows the default cooldown


CONTESTANTS = (
    Contestant("ours", "ours", is_ours=True),
    Contestant("ours async", "ours", "async", is_ours=True),
    Contestant("PyJWT", "pyjwt", cooldown_s=SHORT_S),
    Contestant("ryjwt", "ryjwt", cooldown_s=SHORT_S),
    Contestant("ryjwt async", "ryjwt", "async", cooldown_s=SHORT_S),
    Contestant("npm jose", "", "async", cooldown_s=SHORT_S),
    Contestant("PyJWT 30 s", "pyjwt", everything=False),
    Contestant("ryjwt 30 s", "ryjwt", everything=False),
    Contestant("jose 30 s", "", "async", everything=False),
)


class Commands:
    """How to start each kind of client here; ``missing`` says why one cannot be had."""

    def __init__(self) -> None:
        self._ryjwt, self._no_ryjwt = python_with_ryjwt()
        own = INSTALLED / "node_modules" / ".bin" / "node"  # a newer one than the machine's
        self._node = str(own) if own.exists() else shutil.which("node")

    def missing(self, one: Contestant) -> str | None:
        if one.module == "ryjwt":
            return self._no_ryjwt
        if one.module:
            return None
        if self._node is None:
            return "node is not installed"
        return (
            None if (INSTALLED / "node_modules" / "jose").is_dir() else "make test installs npm jose below .tools/node"
        )

    def of(self, one: Contestant) -> tuple[Sequence[str], Path]:
        """The command and the folder to run it in."""
        if not one.module:
            assert self._node is not None
            return [self._node, "--no-warnings", "--input-type=module", "--eval", SCRIPT.read_text("utf-8")], INSTALLED
        python = self._ryjwt if one.module == "ryjwt" else sys.executable
        assert python is not None
        return [python, "-m", "benchmarks.key_cache.child", one.module, one.how], ROOT


class Client:
    """A running client, with a fresh cache for each experiment."""

    def __init__(self, one: Contestant, commands: Commands, rig: Rig) -> None:
        command, folder = commands.of(one)
        trusted = {"SSL_CERT_FILE": rig.certificate, "NODE_EXTRA_CA_CERTS": rig.certificate}
        self.contestant, self.tokens = one, rig.tokens
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **trusted, "PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, call: str, **asked: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, **asked}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line or '{"refused": "the process has ended"}')
        if "refused" in answer:
            raise RuntimeError(f"{self.contestant.name}: {answer['refused']}")
        return answer["given"]

    def new(self, url: str, **configured: Any) -> None:
        self.ask("new", url=url, cooldown_s=self.contestant.cooldown_s, **configured)

    def once(self, token: str) -> tuple[bool, float]:
        accepted, wait_s = self.ask("many", tokens=[token])[0]
        return accepted, wait_s

    def warm(self, url: str, **configured: Any) -> None:
        self.new(url, **configured)
        accepted, _ = self.once(self.tokens.known)
        if not accepted:
            raise RuntimeError(f"{self.contestant.name} does not accept the good token")

    def frozen(self, seconds: float) -> None:
        """Stop the whole process meanwhile, so that keys expire and nobody can have prepared for it."""
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def rest(self) -> None:
        """Until its cooldown is over."""
        time.sleep((self.contestant.cooldown_s or 0.0) + 0.3)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """It ends when its input does; if not, this one process is killed."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
