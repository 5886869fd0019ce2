"""The command: verbs, and errors as exit codes.

0 done or accepted, 1 rejected, 2 wrong usage, 3 undecided or unavailable, 4 refused, 5 backend, 6 configuration,
7 config plan found differences.
"""

from __future__ import annotations

import os
import re
import sys

import typer
from rich.console import Console

from sealwright import __version__
from sealwright.cli import (
    approvals,
    audit,
    backends,
    backup,
    config,
    credentials,
    fleet,
    inspect,
    issuers,
    joining,
    jwk,
    jwks,
    kek,
    keys,
    rollout,
    secrets,
    sign,
    tokens,
    up,
    verify,
)
from sealwright.cli.options import USUAL_WAIT, Json, print_json
from sealwright.errors import Reason, SealwrightError

_HYPHENATED_KID = re.compile("-[A-Za-z0-9_-]{42}")  # a thumbprint (RFC 7638)
EXIT_FAULT = 70  # EX_SOFTWARE: a bug of ours

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Sealwright: signing keys, and the JSON Web Signatures they make.",
)
app.command()(up.up)
app.command()(sign.sign)
app.command()(verify.verify)
app.command()(inspect.inspect)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(issuers.issuers)
app.command()(backends.backends)
app.add_typer(keys.app, name="keys")
fleet.app.command()(joining.join)
app.add_typer(fleet.app, name="fleet")
app.add_typer(rollout.app, name="rollout")
app.add_typer(config.app, name="config")
app.add_typer(jwk.app, name="jwk")
app.add_typer(jwks.app, name="jwks")
app.add_typer(audit.app, name="audit")
app.add_typer(kek.app, name="kek")
app.add_typer(secrets.app, name="secrets")
app.add_typer(tokens.app, name="tokens")
app.add_typer(credentials.app, name="credentials")
app.add_typer(approvals.app, name="approvals")


@app.command()
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
        app(wait_given(kids_last(sys.argv[1:])))
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
