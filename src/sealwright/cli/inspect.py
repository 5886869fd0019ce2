"""sealwright inspect: show a JWS of any form without verifying it, and say so."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.options import Json, print_json, read_token
from sealwright.cli.unverified import seen_in


def inspect(
    token: Annotated[str, typer.Argument(metavar="FILE", help="A file with the token, or - for standard input.")] = "-",
    as_json: Json = False,
) -> None:
    """Show headers and payload of a JWS in any form, or the outer header of an encrypted token.

    NOTHING is verified: anyone can write what you see.
    """
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
