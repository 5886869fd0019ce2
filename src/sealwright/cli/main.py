"""The command: verbs, and errors as exit codes.

0 done or accepted, 1 rejected, 2 wrong usage, 3 undecided or unavailable, 4 refused, 5 backend, 6 configuration,
7 config plan found differences.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from rich.console import Console

from sealwright import __version__
from sealwright.cli.options import USUAL_WAIT, Json, print_json
from sealwright.errors import Reason, SealwrightError

_HYPHENATED_KID = re.compile("-[A-Za-z0-9_-]{42}")  # a thumbprint (RFC 7638)
EXIT_FAULT = 70  # EX_SOFTWARE: a bug of ours
# Each verb: the file that it is in, and its name there; a group may have further verbs from other files.
VERBS: Mapping[str, tuple[str, ...]] = {
    "up": ("up:up",),
    "sign": ("sign:sign",),
    "verify": ("verify:verify",),
    "inspect": ("inspect:inspect",),
    "backup": ("backup:backup",),
    "restore": ("backup:restore",),
    "issuers": ("issuers:issuers",),
    "backends": ("backends:backends",),
    "keys": ("keys:app",),
    "fleet": ("fleet:app", "joining:join"),
    "rollout": ("rollout:app",),
    "config": ("config:app",),
    "jwk": ("jwk:app",),
    "jwks": ("jwks:app",),
    "audit": ("audit:app",),
    "kek": ("kek:app",),
    "secrets": ("secrets:app",),
    "tokens": ("tokens:app",),
    "clients": ("clients:app",),
    "credentials": ("credentials:app",),
    "approvals": ("approvals:app",),
}


def command(asked: str | None) -> typer.Typer:
    """The command with the verb that is asked for, or with all of them, for help and completion: each costs imports."""
    app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)
    app.callback(help="Sealwright: signing keys, and the JSON Web Signatures they make.")(lambda: None)
    for name in [] if asked == "version" else [asked] if asked in VERBS else VERBS:
        found, *further = map(_load, VERBS[str(name)])
        if isinstance(found, typer.Typer):
            for one in further:
                found.command()(one)
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    app.command()(version)
    return app


def _load(place: str) -> Any:
    file, _, name = place.partition(":")
    return getattr(import_module(f"sealwright.cli.{file}"), name)


def version(as_json: Json = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        sys.stdout.write(f"sealwright {__version__}\n")


def main() -> None:
    """Run one verb; every failure ends in one clear line and an exit code, never in a traceback."""
    os.umask(0o077)  # whatever a verb writes is its owner's alone
    try:
        command(sys.argv[1] if len(sys.argv) > 1 else None)(wait_given(kids_last(sys.argv[1:])))
    except SealwrightError as error:
        sys.exit(_report(error.reason, error.message, error.exit_code))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 the last fence before a person
        message = f"an unexpected {type(error).__name__}: please report it with the command that you ran"
        sys.exit(_report(Reason.SERVICE_FAULT, message, EXIT_FAULT))


def kids_last(arguments: list[str]) -> list[str]:
    """One kid in 64 begins with a hyphen: it goes behind "--", or it would be taken for an option."""
    kids = {
        number
        for number, text in enumerate(arguments)
        if _HYPHENATED_KID.fullmatch(text) and "--" not in arguments[:number] and arguments[number - 1] != "--kid"
    }
    if not kids:
        return arguments
    rest = [text for number, text in enumerate(arguments) if number not in kids and text != "--"]
    return [*rest, "--", *(arguments[number] for number in sorted(kids))]


def wait_given(arguments: list[str]) -> list[str]:
    """--wait may stand alone, as people type it in a hurry; Typer has no options whose value may be left out."""
    after = arguments.index("--wait") + 1 if "--wait" in arguments else 0
    if not after or (after < len(arguments) and not arguments[after].startswith("-")):
        return arguments
    return [*arguments[:after], USUAL_WAIT, *arguments[after:]]


def _report(reason: Reason, message: str, exit_code: int) -> int:
    if "--json" in sys.argv:
        print_json({"reason": reason, "message": message, "exit_code": exit_code})
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("error:", style="bold red", end=" ")
    console.print(f"{message} ({reason})", markup=False)
    return exit_code
