"""Caps, names, fences and the map: what keeps the tree readable."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sealwright"
MODULES = sorted(SOURCE.rglob("*.py"))
RUFF = str(Path(sys.executable).with_name("ruff"))
LONGEST_FILE, LONGEST_FUNCTION = 250, 30
LUMBER_ROOMS = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_is_too_long() -> None:
    lengths = [(str(path.relative_to(SOURCE)), len(path.read_text("utf-8").splitlines())) for path in MODULES]
    assert not [(name, length) for name, length in lengths if length > LONGEST_FILE]


def test_no_function_is_too_long() -> None:
    long = [
        (str(path.relative_to(SOURCE)), function.name, body_lines(function))
        for path in MODULES
        for function in functions(ast.parse(path.read_text("utf-8")))
        if body_lines(function) > LONGEST_FUNCTION
    ]
    assert not long


def test_every_module_says_what_it_is_for_in_one_line() -> None:
    for path in MODULES:
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        assert docstring, path
        assert docstring.splitlines()[0].endswith((".", "?")), path


def test_there_is_no_lumber_room() -> None:
    assert not {path.stem for path in MODULES} & LUMBER_ROOMS
    assert not {path.parent.name for path in MODULES} & LUMBER_ROOMS


def test_the_map_is_the_tree() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/draw_map.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.environ['X']",
        "import os; os.environb[b'X']",
        "import os; os.getenv('X')",
        "import time; time.time()",
        "import time; time.time_ns()",
        "from time import monotonic",
        "import time; time.monotonic_ns()",
        "import time; time.perf_counter()",
        "import datetime; datetime.datetime.now()",
        "from datetime import datetime; datetime.today()",
        "import datetime; datetime.date.today()",
        "import logging; logging.getLogger()",
        "eval('1')",
        "print('token')",
    ],
)
def test_the_fences_catch_a_planted_call(line: str) -> None:
    code = f'"""Planted."""\n\n{line}\n'
    name = str(SOURCE / "trust" / "planted.py")
    done = subprocess.run(
        [RUFF, "check", "--no-cache", "--stdin-filename", name, "-"],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(r"TID251|S307|T201", done.stdout), done.stdout


def test_the_core_installs_with_at_most_three_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert len(project["dependencies"]) <= 3


def test_locks_pin_every_package_by_hash_and_name_no_registry() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-installer.lock"):
        text = (ROOT / name).read_text("utf-8")
        packages = re.findall(r"^[a-z0-9][^\s=]*==", text, re.MULTILINE)
        assert packages
        assert text.count("--hash=sha256:") >= len(packages)
        assert "://" not in text
        assert "file:" not in text


def test_no_file_names_this_machine_or_a_registry_or_holds_a_private_key() -> None:
    machine = re.compile("|".join(re.escape(f"/{folder}/") for folder in ("work", "root", "home")))
    registries = re.compile("|".join(("pypi" + r"\.org", "pythonhosted" + r"\.org", "registry" + r"\.npmjs")))
    private = re.compile("-----BEGIN" + "[A-Z ]* PRIVATE KEY")
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", "replace")
        for pattern in (machine, registries, private):
            assert not pattern.search(text), (path, pattern.pattern)
