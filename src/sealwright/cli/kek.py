"""sealwright kek: the key that the stored keys are sealed under."""

from __future__ import annotations

import typer
from rich.console import Console

from sealwright.cli.options import Home, Json, Why, print_json
from sealwright.cli.session import open_calls

app = typer.Typer(no_args_is_help=True, help="The key-encryption key, which local keys and secrets are sealed under.")


@app.callback()
def _kek() -> None:
    """A group, although it has one verb so far."""


@app.command()
def rotate(reason: Why = "routine", home: Home = None, as_json: Json = False) -> None:
    """Make a new key-encryption key and seal everything anew, while the service goes on.

    Where the key comes from SEALWRIGHT_KEK_FILE: put the new one into that file and name a copy of the old one with
    SEALWRIGHT_PREVIOUS_KEK_FILE first; this seals everything under the new one.
    """
    with open_calls(home) as calls:
        answer = calls.rotate_kek(reason=reason)
    if as_json:
        print_json(answer)
    else:
        Console(highlight=False).print(f"{answer['resealed']} files are sealed under the new key-encryption key")
