"""sealwright backends: whether each key backend signs."""

from __future__ import annotations

import typer

from sealwright.cli.options import Home, Json, print_json, print_table
from sealwright.cli.session import open_calls
from sealwright.errors import BackendError


def backends(home: Home = None, as_json: Json = False) -> None:
    """Have each key backend sign something, and say which can. Exit code 5 when one cannot."""
    with open_calls(home) as calls:
        found = calls.backends()["backends"]
    if as_json:
        print_json({"backends": found})
    else:
        rows = [(one["backend"], _shown(one["reason"]), one["key_id"]) for one in found]
        print_table(("BACKEND", "SIGNS", "KID TRIED"), rows)
    if any(one["reason"] for one in found):
        raise typer.Exit(BackendError.exit_code)


def _shown(reason: str | None) -> str:
    return f"[bold red]no: {reason}[/]" if reason else "[bold green]yes[/]"
