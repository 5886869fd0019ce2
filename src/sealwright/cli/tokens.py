"""sealwright tokens: revoke or suspend single tokens that were issued before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.options import DEFAULT, Home, Issuer, Json, Must, print_json, print_table, printable, read_token
from sealwright.cli.session import open_calls
from sealwright.errors import Reason, RejectedError

app = typer.Typer(no_args_is_help=True, help="Revoke or suspend single tokens before they expire.")
Token = Annotated[str | None, typer.Option("--token", help="A file with the token, or - for standard input.")]
Jti = Annotated[str | None, typer.Option("--jti", help="The token's jti, where the token itself is not at hand.")]


@app.command()
def revoke(
    reason: Must,
    token: Token = None,
    jti: Jti = None,
    expires_at: Annotated[
        float | None, typer.Option("--expires-at", help="With --jti: its exp, as Unix time; else the longest life.")
    ] = None,
    issuer: Issuer = DEFAULT,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Refuse a token from now on, for good."""
    _change("revoke", issuer, token, jti, expires_at, reason=reason, home=home, as_json=as_json)


@app.command()
def suspend(
    reason: Must,
    token: Token = None,
    jti: Jti = None,
    issuer: Issuer = DEFAULT,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Refuse a token that was issued with a status, until it is restored."""
    _change("suspend", issuer, token, jti, None, reason=reason, home=home, as_json=as_json)


@app.command()
def restore(
    reason: Must,
    token: Token = None,
    jti: Jti = None,
    issuer: Issuer = DEFAULT,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Accept a suspended token again."""
    _change("restore", issuer, token, jti, None, reason=reason, home=home, as_json=as_json)


@app.command()
def revoked(issuer: Issuer = DEFAULT, home: Home = None, as_json: Json = False) -> None:
    """Show tokens that are revoked or suspended, by the digest of their jti, until they have expired."""
    with open_calls(home) as calls:
        answer = calls.tokens.marked(issuer)
    if as_json:
        print_json(answer)
        return
    names = ("token", "status", "expires_at")
    rows = ([printable(row[name]) for name in names] for row in answer["tokens"])
    print_table([name.upper() for name in names], rows)


def _change(
    verb: str,
    issuer: str,
    token: str | None,
    jti: str | None,
    expires_at: float | None,
    *,
    reason: str,
    home: Path | None,
    as_json: bool,
) -> None:
    if (token is None) == (jti is None):
        raise RejectedError(Reason.REQUEST_MALFORMED, "give either --token or --jti")
    given: dict[str, Any] = {"jti": jti, "expires_at": expires_at, "token": None if token is None else _read(token)}
    with open_calls(home) as calls:
        answer = calls.tokens.change(verb, issuer, reason=reason, **given)
    if as_json:
        print_json(answer)
    else:
        line = f"{answer['token']} is {answer['status']}"
        Console(highlight=False, soft_wrap=True).print(line, markup=False)


def _read(source: str) -> str:
    return read_token(source).decode("ascii", "replace")
