"""sealwright clients: programs that get tokens of an issuer by themselves, as OAuth clients."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.key_files import private_file
from sealwright.cli.options import (
    DEFAULT,
    Home,
    Issuer,
    Json,
    Must,
    Why,
    leave_out,
    print_json,
    print_table,
    printable,
    read_bytes,
    read_seconds,
)
from sealwright.cli.session import open_calls
from sealwright.jose import strict_json

app = typer.Typer(no_args_is_help=True, help="OAuth clients of an issuer: what each may ask for, and its proof.")
Client = Annotated[str, typer.Argument(metavar="CLIENT", help="The client id.")]
Out = Annotated[Path | None, typer.Option("--out", help="A new file for the secret, readable by its owner alone.")]
_GRANTS = {"token-exchange": "urn:ietf:params:oauth:grant-type:token-exchange"}


@app.command()
def create(
    client: Client,
    audience: Annotated[list[str], typer.Option("--audience", help="Whom its tokens may be for; may be repeated.")],
    scope: Annotated[list[str] | None, typer.Option("--scope", help="What they may allow; may be repeated.")] = None,
    grant: Annotated[
        list[str] | None,
        typer.Option("--grant", help="client_credentials (by default), token-exchange, or both."),
    ] = None,
    subject_audience: Annotated[
        list[str] | None,
        typer.Option("--subject-audience", help="A name under which others show it their tokens; may be repeated."),
    ] = None,
    lifetime: Annotated[str | None, typer.Option("--lifetime", help="The longest life of its tokens, like 5m.")] = None,
    keys: Annotated[str | None, typer.Option("--keys", help="Its public key, or a JWK Set: private_key_jwt.")] = None,
    jwks_url: Annotated[str | None, typer.Option("--jwks-url", help="Or where they are.")] = None,
    assertion_lifetime: Annotated[
        str, typer.Option("--assertion-lifetime", help="How far ahead its assertions may end; 1h at most.")
    ] = "5m",
    token_endpoint_audience: Annotated[
        bool, typer.Option("--token-endpoint-audience", help="They may name the token endpoint instead of the issuer.")
    ] = False,
    issuer: Issuer = DEFAULT,
    out: Out = None,
    reason: Why = "routine",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Register a client; its secret is shown this once, unless it has keys of its own."""
    has_keys = keys is not None or jwks_url is not None
    if has_keys:
        leave_out("a client with keys has no secret", out=out)
    given: dict[str, Any] = {
        "authentication": "private_key_jwt" if has_keys else "client_secret",
        "grants": [_GRANTS.get(one, one) for one in grant or ["client_credentials"]],
        "audiences": audience,
        "scopes": scope or [],
        "subject_audiences": subject_audience or [],
        "lifetime_s": None if lifetime is None else read_seconds(lifetime),
        "jwks": None if keys is None else _key_set(keys),
        "jwks_url": jwks_url,
        "assertion_lifetime_s": read_seconds(assertion_lifetime),
        "token_endpoint_audience": token_endpoint_audience,
    }
    with private_file(out) as write, open_calls(home) as calls:
        made = calls.clients.create(issuer, client, reason=reason, **given)
        write(_line(made))
    _show(made, out, as_json)


@app.command("list")
def list_clients(
    issuer: Annotated[str | None, typer.Option("--issuer", "-i", help="Only those of this issuer.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the clients, and what each may ask for."""
    with open_calls(home) as calls:
        answer = calls.clients.list(issuer)
    if as_json:
        print_json(answer)
        return
    rows = (
        [
            *(printable(one[name]) for name in ("issuer", "client_id", "authentication")),
            *(printable(" ".join(one[name])) for name in ("audiences", "scopes")),
            ", ".join(one["secrets_since"]) or str(len(one["keys"]) or one["jwks_url"]),
        ]
        for one in answer["clients"]
    )
    print_table(("ISSUER", "CLIENT", "PROVES ITSELF BY", "AUDIENCES", "SCOPES", "SECRETS SINCE, OR KEYS"), rows)


@app.command("rotate-secret")
def rotate_secret(
    client: Client,
    end_others: Annotated[bool, typer.Option("--end-others", help="No older secret is good any more.")] = False,
    issuer: Issuer = DEFAULT,
    out: Out = None,
    reason: Why = "routine",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Give a client one more secret; the newest one before it stays good until the next rotation."""
    with private_file(out) as write, open_calls(home) as calls:
        rotated = calls.clients.rotate_secret(issuer, client, reason=reason, end_others=end_others)
        write(_line(rotated))
    _show(rotated, out, as_json)


@app.command()
def remove(client: Client, reason: Must, issuer: Issuer = DEFAULT, home: Home = None, as_json: Json = False) -> None:
    """Give a client no tokens any more; those that it has live on until they expire."""
    with open_calls(home) as calls:
        answer = calls.clients.remove(issuer, client, reason=reason)
    if as_json:
        print_json(answer)
    else:
        Console(highlight=False, soft_wrap=True).print(f"{client} gets no tokens of {issuer} any more", markup=False)


def _key_set(source: str) -> dict[str, Any]:
    members = strict_json.parse_object(read_bytes(source))
    return members if "keys" in members else {"keys": [members]}


def _line(made: Mapping[str, Any]) -> bytes:
    return f"{made.get('client_secret')}\n".encode()


def _show(made: Mapping[str, Any], out: Path | None, as_json: bool) -> None:
    """A secret alone on standard output, for a pipe; with --out in a file instead."""
    shown = {name: value for name, value in made.items() if out is None or name != "client_secret"}
    if as_json:
        print_json(shown)
    elif "client_secret" in shown:
        sys.stdout.write(shown["client_secret"] + "\n")
    else:
        print_table(("CLIENT", "VALUE"), [("client_id", made["client_id"]), ("issuer", printable(made["iss"]))])
