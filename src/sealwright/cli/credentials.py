"""sealwright credentials: who may call the service, for what and for how long."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sealwright.cli.key_files import private_file
from sealwright.cli.options import Home, Json, Must, print_json, print_table, printable, read_seconds
from sealwright.cli.session import open_calls

app = typer.Typer(no_args_is_help=True, help="Issue short-lived credentials for callers of the service, and deny them.")
Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="Whose credentials.")]


@app.command()
def issue(
    subject: Annotated[str, typer.Option("--subject", help="Who will call; this name is in the audit.")],
    role: Annotated[list[str], typer.Option("--role", help="operator, signer, approver or auditor; may be repeated.")],
    issuer: Annotated[
        list[str] | None, typer.Option("--issuer", "-i", help="Only for this issuer; may be repeated.")
    ] = None,
    lifetime: Annotated[
        str | None, typer.Option("--lifetime", help="Like 90s or 15m; the longest allowed if unset.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A new file, readable by its owner alone.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Issue a credential, which its holder renews; printed, or written to a file with --out."""
    lifetime_s = None if lifetime is None else read_seconds(lifetime)
    with private_file(out) as write, open_calls(home) as calls:
        issued = calls.access.issue(subject, roles=role, issuers=issuer or (), lifetime_s=lifetime_s)
        write(f"{issued['token']}\n".encode())
    if out is not None:
        del issued["token"]
    if as_json:
        print_json(issued)
    elif out is None:
        sys.stdout.write(issued["token"] + "\n")
    else:
        rows = [("subject", subject), ("scopes", " ".join(issued["scopes"])), ("seconds", str(issued["expires_in"]))]
        print_table(("CREDENTIAL", "VALUE"), rows)


@app.command()
def deny(subject: Subject, reason: Must, home: Home = None, as_json: Json = False) -> None:
    """Refuse every credential of a subject at once, and issue none."""
    with open_calls(home) as calls:
        answer = calls.access.deny(subject, reason=reason)
    _say(as_json, answer, f"{subject} is denied")


@app.command()
def allow(subject: Subject, reason: Must, home: Home = None, as_json: Json = False) -> None:
    """Undo a denial."""
    with open_calls(home) as calls:
        answer = calls.access.allow(subject, reason=reason)
    _say(as_json, answer, f"{subject} may have credentials again")


@app.command()
def denied(home: Home = None, as_json: Json = False) -> None:
    """Show who is denied, by whom, since when and why."""
    with open_calls(home) as calls:
        answer = calls.access.denied()
    if as_json:
        print_json(answer)
        return
    names = ("subject", "denied_at", "denied_by", "reason")
    print_table(
        [name.upper() for name in names], ([printable(row[name]) for name in names] for row in answer["denied"])
    )


def _say(as_json: bool, answer: object, line: str) -> None:
    if as_json:
        print_json(answer)
    else:
        Console(highlight=False, soft_wrap=True).print(line, markup=False)
