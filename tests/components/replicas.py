"""Processes that share one PostgreSQL database: what each of them does, and how a test talks to it."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sealwright.errors import RefusedError, SealwrightError
from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.policy import FixedPolicies, IssuerPolicy
from sealwright.keys.timings import KeyTimings

STARTING = multiprocessing.get_context("forkserver")
STARTING.set_forkserver_preload(["replicas"])
WHO = {"actor": "tester", "reason": "race"}
TIMINGS = KeyTimings(published_keys=10_000)


class Replica:
    """One process's catalog, keys and signer."""

    def __init__(self, url: str, folder: str, name: str) -> None:
        self.catalog = SqlCatalog.open(url, writer=name)
        self.backend = LocalBackend(Path(folder), b"k" * 32)
        backends = {"local": self.backend}
        policies = FixedPolicies(IssuerPolicy(algorithm="Ed25519", timings=TIMINGS))
        self.keys = KeyLifecycle(self.catalog, backends, policies=policies)
        self.signer = ManagedSigner(self.catalog, backends, "default")

    def hold(self, turn: str) -> None:
        """Take a turn and keep it."""
        self._held = self.catalog.turn(turn)
        self._held.__enter__()

    def sign(self) -> tuple[str, str]:
        """A token, and the digest that its audit entry must have."""
        signed = self.signer.sign(b"{}", typ="test+jws", actor="tester")
        return signed.token, hashlib.sha256(signed.token.rpartition(".")[0].encode()).hexdigest()

    def rotate(self, key_id: str) -> str:
        try:
            return str(self.keys.rotate("default", key_id=key_id, force=True, **WHO).active.key_id)
        except RefusedError as error:
            return f"refused {error.reason}"


def serve(link: Connection, url: str, folder: str, name: str) -> None:
    """What a replica process runs: one answer for each question, until it is told to stop."""
    replica = Replica(url, folder, name)
    link.send(replica.catalog.writer)
    signing = _Signing(replica)
    answers: dict[str, Callable[..., Any]] = {
        "writer": lambda: replica.catalog.writer,
        "version": replica.catalog.version,
        "sign": replica.sign,
        "rotate": lambda key_id, threads: _at_once(lambda: replica.rotate(key_id), threads),
        "hold": replica.hold,
        "sign on": signing.start,
        "signed": signing.stop,
        "close": replica.catalog.close,
    }
    while True:
        question, *arguments = link.recv()
        try:
            link.send(answers[question](*arguments))
        except SealwrightError as error:
            link.send(str(error.reason))
        if question == "close":
            return


class _Signing:
    """A thread that signs all the time."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._stop = threading.Event()
        self._signed: list[Any] = []
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> list[Any]:
        self._stop.set()
        self._thread.join()
        return self._signed

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._signed.append(self._replica.sign())
            except SealwrightError as error:
                self._signed.append(str(error.reason))


def _at_once(call: Callable[[], Any], threads: int) -> list[Any]:
    answers: list[Any] = []
    running = [threading.Thread(target=lambda: answers.append(call())) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return answers


class Process:
    """A replica as a test sees it."""

    def __init__(self, url: str, folder: Path, name: str) -> None:
        self._link, theirs = STARTING.Pipe()
        self._process = STARTING.Process(target=serve, args=(theirs, url, str(folder), name), daemon=True)
        self._process.start()
        theirs.close()

    def began(self) -> str:
        """Its name, once it is up."""
        return str(self.answer())

    def ask(self, question: str, *arguments: Any) -> Any:
        self.tell(question, *arguments)
        return self.answer()

    def tell(self, question: str, *arguments: Any) -> None:
        self._link.send((question, *arguments))

    def answer(self) -> Any:
        assert self._link.poll(120), "the process does not answer"
        return self._link.recv()

    def kill(self) -> None:
        self._process.kill()
        self._process.join(30)


@contextlib.contextmanager
def processes(url: str, folder: Path, *names: str) -> Iterator[list[Process]]:
    """Started together; killed by pid at the end."""
    started = [Process(url, folder, name) for name in names]
    try:
        yield started
    finally:
        for process in started:
            process.kill()


def eventually(check: Callable[[], bool], what: str, within_s: float = 30) -> None:
    """A generous deadline, not a measurement."""
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
