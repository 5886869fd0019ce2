"""sealwright inspect: show a token without verifying it, and say so."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.options import Json, print_json, read_token
from sealwright.errors import RejectedError
from sealwright.jose import compact


def inspect(
    token: Annotated[str, typer.Argument(metavar="FILE", help="A file with the token, or - for standard input.")] = "-",
    as_json: Json = False,
) -> None:
    """Show the header and payload of a token. NOTHING is verified: anyone can write what you see."""
    unverified = compact.parse(read_token(token))
    payload = _payload(unverified)
    if as_json:
        print_json({"verified": False, "header": unverified.header.members, "payload": payload})
        return
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print("NOT VERIFIED: anyone can write what follows", style="bold black on yellow")
    console.print("header", style="bold")
    console.print_json(data=unverified.header.members)
    console.print("payload", style="bold")
    if isinstance(payload, dict):
        console.print_json(data=payload)
    else:
        console.print(payload)
    console.print(f"signature: {len(unverified.signature)} bytes, not checked")


def _payload(unverified: compact.UnverifiedJWS) -> dict[str, Any] | str:
    try:
        return unverified.unverified_claims()
    except RejectedError:
        return f"{len(unverified.unverified_payload())} bytes that are not a JSON object"
