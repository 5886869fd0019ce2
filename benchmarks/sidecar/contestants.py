"""Who takes part: how each is started, where it is asked, and what it cannot do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sidecar.programs import Program, free_port, pinned
from benchmarks.sidecar.settings import envoy_settings, haproxy_settings, sidecar_settings
from benchmarks.sidecar.tokens import ALGORITHMS, Tokens

OURS, BARE, BARE_HEADERS = "ours", "bare", "bare+headers"
ENVOY, ENVOY_CACHED, HAPROXY = "Envoy", "Envoy+cache", "HAProxy"
HAPROXY_ALGORITHMS = ("ES256", "RS256")
ROOT = Path(__file__).parents[2]
_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


class AbsentError(Exception):
    """A contestant is not on this machine; the text says how it gets there."""


@dataclass(frozen=True)
class Start:
    """How one is started. ``ports`` are by algorithm; without one it cannot do that."""

    command: list[str]
    ports: Mapping[str, int]
    path: str = "/"


@dataclass(frozen=True)
class Contestant:
    """One that runs."""

    program: Program
    urls: Mapping[str, str]


@dataclass
class Field:
    """Everybody who runs with the same number of workers, and why the others do not."""

    workers: int
    running: dict[str, Contestant] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@contextmanager
def running(folder: Path, tokens: Tokens, workers: int, core: int | None) -> Iterator[Field]:
    """Each on ``core``, or wherever the machine puts it."""
    found = Field(workers)
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(folder)}
    with ExitStack() as stack:
        for name, make in _STARTS.items():
            try:
                one = make(folder, tokens, workers)
                port = next(iter(one.ports.values()))
                log = folder / f"{name}-{workers}.log"
                program = stack.enter_context(Program(name, pinned(one.command, core), port, log, environment))
            except (AbsentError, ChildProcessError) as error:
                found.missing[name] = str(error)
                continue
            urls = {alg: f"http://127.0.0.1:{port}{one.path}" for alg, port in one.ports.items()}
            found.running[name] = Contestant(program, urls)
        yield found


def _ours(folder: Path, tokens: Tokens, workers: int) -> Start:
    port = free_port()
    settings = sidecar_settings(folder, tokens.works, port, workers)
    command = [str(Path(sys.executable).with_name("sealwright-verifier")), "--config", str(settings)]
    return Start(command, _everywhere(port), "/ext-authz/")


def _bare(_: Path, __: Tokens, workers: int, *options: str) -> Start:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.sidecar.bare", str(port), str(workers), *options]
    return Start(command, _everywhere(port), "/ext-authz/")


def _bare_headers(folder: Path, tokens: Tokens, workers: int) -> Start:
    return _bare(folder, tokens, workers, "headers")


def _envoy(folder: Path, tokens: Tokens, workers: int, *, cached: bool = False) -> Start:
    """The program itself: the script beside it would be its parent, and it ends when its parent does."""
    found = sorted((ROOT / ".tools" / "servers").glob("lib/python*/site-packages/envoy/_bin/envoy"))
    if not found:
        raise AbsentError("not on this machine: scripts/system-tools.sh installs it")
    port = free_port()
    settings = envoy_settings(folder, tokens.works, port, cached=cached)
    options = ["--concurrency", str(workers), "--base-id", str(port), "--log-level", "error"]
    return Start([str(found[0]), "-c", str(settings), *options], _everywhere(port))


def _envoy_cached(folder: Path, tokens: Tokens, workers: int) -> Start:
    return _envoy(folder, tokens, workers, cached=True)


def _haproxy(folder: Path, tokens: Tokens, workers: int) -> Start:
    program = shutil.which("haproxy", path=_PATH)
    if program is None:
        raise AbsentError("not on this machine: apt-get install haproxy")
    ports = {alg: free_port() for alg in HAPROXY_ALGORITHMS}
    return Start([program, "-f", str(haproxy_settings(folder, tokens.works, ports, workers))], ports)


def _everywhere(port: int) -> dict[str, int]:
    return dict.fromkeys(ALGORITHMS, port)


_STARTS = {
    OURS: _ours,
    BARE: _bare,
    BARE_HEADERS: _bare_headers,
    ENVOY: _envoy,
    ENVOY_CACHED: _envoy_cached,
    HAPROXY: _haproxy,
}
