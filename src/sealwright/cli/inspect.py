"""sealwright inspect: show a JWS of any form without verifying it, and say so."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.options import Home, Json, leave_out, print_json, read_token
from sealwright.cli.unverified import seen_in
from sealwright.cli.verify_claims import EXIT_CODES, Wanted, decide_one, given

_EXPLAIN = "With --explain"


def inspect(
    token: Annotated[str, typer.Argument(metavar="FILE", help="A file with the token, or - for standard input.")] = "-",
    explain: Annotated[
        bool, typer.Option("--explain", help="Verify it, and show each check: what it expected, what it found.")
    ] = False,
    audience: Annotated[
        str | None, typer.Option("--audience", "-a", rich_help_panel=_EXPLAIN, help="Who you are.")
    ] = None,
    issuer: Annotated[
        str | None, typer.Option("--issuer", "-i", rich_help_panel=_EXPLAIN, help="With --jwks: the issuer URL.")
    ] = None,
    jwks: Annotated[
        str | None,
        typer.Option("--jwks", rich_help_panel=_EXPLAIN, help="A JWKS URL or file, instead of a Sealwright service."),
    ] = None,
    algorithm: Annotated[
        list[str] | None, typer.Option("--algorithm", rich_help_panel=_EXPLAIN, help="With --jwks: allow only this.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", rich_help_panel=_EXPLAIN, help="A scope it must have.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show headers and payload of a JWS in any form, or the outer header of an encrypted token.

    NOTHING is verified: anyone can write what you see.

    With --explain the token is verified as `sealwright verify` does, and each check is shown.
    """
    if explain:
        wanted = Wanted(
            audience=given(audience),
            issuer=issuer,
            jwks=jwks,
            algorithms=algorithm or (),
            scopes=scope or (),
            home=home,
            explain=True,
        )
        raise typer.Exit(EXIT_CODES[decide_one(read_token(token), wanted, as_json=as_json)])
    why = "these options are for --explain"
    leave_out(why, audience=audience, issuer=issuer, jwks=jwks, algorithm=algorithm, scope=scope, home=home)
    seen = seen_in(read_token(token))
    if as_json:
        print_json({"verified": False, **seen})
        return
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print("NOT VERIFIED: anyone can write what follows", style="bold black on yellow")
    for number, one in enumerate(seen.get("signatures", ())):
        console.print(f"signature {number}", style="bold")
        _print_signature(console, one)
    if "signatures" not in seen:
        _print_signature(console, seen)
    console.print("payload", style="bold")
    if isinstance(seen["payload"], dict):
        console.print_json(data=seen["payload"])
    else:
        console.print(seen["payload"])


def _print_signature(console: Console, seen: dict[str, Any]) -> None:
    if "reason" in seen:
        console.print(f"cannot be read: {seen['message']} ({seen['reason']})")
    for name in ("header", "unprotected"):
        if name in seen:
            console.print(name, style="bold")
            console.print_json(data=seen[name])
    if "signature_bytes" in seen:
        console.print(f"signature: {seen['signature_bytes']} bytes, not checked")
