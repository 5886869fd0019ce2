"""The rows that need Python 3.12 or newer: found, given an environment of their own, and run in one process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.rows import Row

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".tools" / "bench-ryjwt"
LOCKS = (ROOT / "requirements.lock", ROOT / "benchmarks" / "requirements-ryjwt.lock")
VERSIONS = ("3.13", "3.14", "3.12")  # the target names 3.13


@dataclass
class Newer:
    """``missing`` says why there are no rows."""

    python: str = "Python 3.13"
    rows: list[Row] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    missing: str | None = None


def python_with_ryjwt() -> tuple[str, None] | tuple[None, str]:
    """The interpreter of an environment that has ryjwt and ours, or why there is none."""
    interpreter = next(_interpreters(), None)
    if interpreter is None:
        return None, "not on this machine: Python 3.12 or newer"
    try:
        return str(_environment(interpreter)), None
    except subprocess.CalledProcessError as error:
        return None, _failure(interpreter, error)


def measure_newer(algorithms: Sequence[str], *, rounds: int) -> Newer:
    python, missing = python_with_ryjwt()
    if python is None:
        return Newer(missing=missing)
    try:
        printed = run_in(python, "benchmarks.child", str(rounds), *algorithms)
    except subprocess.CalledProcessError as error:
        return Newer(missing=_failure(python, error))
    found = json.loads(printed)
    return Newer(found["python"], [Row(**row) for row in found["rows"]], found["versions"])


def run_in(python: str, module: str, *arguments: str) -> str:
    """What a module of ours prints there. Raises CalledProcessError."""
    return _run([python, "-m", module, *arguments])


def _failure(interpreter: str, error: subprocess.CalledProcessError) -> str:
    lines = (error.stderr or "").strip().splitlines() or ["no message"]
    return f"not on this machine: {Path(interpreter).name} could not run it: {lines[-1]}"


def _interpreters() -> Iterator[str]:
    """By running them, since a name on the path proves nothing; pyenv keeps some beside the path."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        named = shutil.which(f"python{version}")
        for candidate in (named, *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")), reverse=True)):
            if candidate is not None and _is(candidate, version):
                yield candidate


def _is(candidate: str, version: str) -> bool:
    code = f"import sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    return subprocess.run([candidate, "-c", code], capture_output=True, check=False).returncode == 0


def _environment(interpreter: str) -> Path:
    """Made once for these locks and this interpreter; a half-made one has no stamp and is made anew."""
    wanted = hashlib.sha256(b"".join(lock.read_bytes() for lock in LOCKS) + interpreter.encode()).hexdigest()
    python, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "installed"
    if not stamp.is_file() or stamp.read_text() != wanted:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        _run([interpreter, "-m", "venv", str(ENVIRONMENT)])
        for lock in LOCKS:
            _run([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)])
        stamp.write_text(wanted)
    return python


def _run(command: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout
