"""sealwright secrets: HMAC secrets that one partner shares, with the life of every key."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sealwright.cli.key_table import print_keys
from sealwright.cli.options import Force, Home, Json, Must, Why, print_json, read_bytes, read_token
from sealwright.cli.session import open_calls

app = typer.Typer(no_args_is_help=True, help="HMAC secrets of partners; keys list, retire and revoke work on them too.")
Partner = Annotated[str, typer.Argument(metavar="PARTNER", help="Who shares the secret.")]


@app.command()
def create(
    partner: Partner,
    algorithm: Annotated[str, typer.Option("--algorithm", "-a", help="HS256, HS384 or HS512.")] = "HS256",
    backend: Annotated[str, typer.Option("--backend", help="catalog, or a backend for secrets.")] = "catalog",
    reason: Why = "routine",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a partner's first two secrets: one signs, the other is handed over ahead of the next rotation."""
    with open_calls(home, create=True) as calls:
        answer = calls.secrets.create(partner, algorithm=algorithm, backend=backend, reason=reason)
    if as_json:
        print_json(answer)
    else:
        print_keys(answer["keys"])


@app.command()
def reveal(
    kid: Annotated[str, typer.Argument(metavar="KID", help="Which secret.")], reason: Must, home: Home = None
) -> None:
    """Print one secret as a JWK, to hand it over; the audit says so first."""
    with open_calls(home) as calls:
        print_json(calls.secrets.reveal(kid, reason=reason)["jwk"])


@app.command()
def rotate(
    partner: Partner, reason: Why = "routine", force: Force = False, home: Home = None, as_json: Json = False
) -> None:
    """Sign with the standby secret, which the partner must have by now, and make the next one."""
    with open_calls(home) as calls:
        answer = calls.secrets.rotate(partner, reason=reason, force=force)
    if as_json:
        print_json(answer)
    else:
        print_keys([answer[name] for name in ("active", "standby", "previous") if answer.get(name)])


@app.command()
def sign(
    partner: Partner,
    payload: Annotated[str, typer.Option("--payload", help="Sign this file's bytes, or - for standard input.")],
    typ: Annotated[str, typer.Option("--typ", help="The type of the payload, such as hook+jws.")],
    home: Home = None,
) -> None:
    """Sign any bytes with the partner's active secret."""
    data = read_bytes(payload)
    with open_calls(home) as calls:
        sys.stdout.write(calls.secrets.sign(partner, payload=data, typ=typ)["token"] + "\n")


@app.command()
def verify(
    partner: Partner,
    token: Annotated[str, typer.Argument(help="A file with the JWS, or - for standard input.")] = "-",
    home: Home = None,
) -> None:
    """Whether this partner, or we, signed a JWS; exit code 1 when not."""
    with open_calls(home) as calls:
        answer = calls.secrets.verify(partner, read_token(token).decode("ascii", "replace"))
    print_json(answer)
    if answer["outcome"] != "accepted":
        raise typer.Exit(1)
