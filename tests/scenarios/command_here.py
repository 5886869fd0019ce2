"""The command inside this process: what it says and does, without an interpreter that starts for each of its lines."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from unittest import mock

from sealwright.cli.main import main

TERMINAL = {"COLUMNS": "80", "LINES": "25"}  # of a process without a terminal


def run_here(
    *arguments: str, stdin: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """As ``run_cli``, which the tests of test_cli_process hold it against."""
    assert threading.current_thread() is threading.main_thread(), "what it replaces belongs to the whole process"
    given = environment or {name: value for name, value in os.environ.items() if not name.startswith("SEALWRIGHT_")}
    umask = os.umask(0o022)
    with ExitStack() as stack:
        stack.callback(os.umask, umask)
        stack.enter_context(mock.patch.dict(os.environ, {**TERMINAL, **given}, clear=True))
        stack.enter_context(mock.patch.object(sys, "argv", ["sealwright", *arguments]))
        # With it, Click would take its name from the package that was started: pytest.
        stack.enter_context(mock.patch.object(sys.modules["__main__"], "__package__", None))
        given_in = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", newline=""))
        given_in.write(stdin)
        given_in.seek(0)
        stack.enter_context(mock.patch.object(sys, "stdin", given_in))
        output = stack.enter_context(redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)))
        errors = stack.enter_context(redirect_stderr(io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)))
        code = _exit_code()
    return subprocess.CompletedProcess(arguments, code, _text(output), _text(errors))


def _exit_code() -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _text(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()
