"""sealwright jwks: show our published keys, fetch those of others."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from sealwright.cli.options import DEFAULT, Home, Issuer, Json, print_json, print_table
from sealwright.cli.session import open_calls
from sealwright.trust.sources.remote import RemoteJWKSet

app = typer.Typer(no_args_is_help=True, help="Show or fetch JWK Sets.")


@app.command()
def show(issuer: Issuer = DEFAULT, home: Home = None, as_json: Json = False) -> None:
    """Show the published keys of one of our issuers, as its JWKS page has them."""
    with open_calls(home) as calls:
        keys = calls.jwks(issuer)
    if as_json:
        print_json(keys)
    else:
        _print_keys(keys["keys"])


@app.command()
def fetch(
    url: Annotated[str, typer.Argument(help="A JWKS URL; https, or http on this machine.")], as_json: Json = False
) -> None:
    """Fetch a JWK Set as a verifier would, and report the keys it could not use."""
    with RemoteJWKSet(url) as source:
        keys = source.fetch()
    unusable = [{"index": key.index, "key_id": key.key_id, "reason": key.reason} for key in keys.unusable]
    if as_json:
        print_json({**keys.to_dict(), "unusable": unusable})
        return
    _print_keys(keys.to_dict()["keys"])
    for key in unusable:
        Console(stderr=True).print(f"skipped key {key['index']} ({key['key_id']}): {key['reason']}", markup=False)


def _print_keys(keys: list[dict[str, Any]]) -> None:
    print_table(("ALG", "TYPE", "KID"), (_row(key) for key in keys))


def _row(key: dict[str, Any]) -> tuple[str, str, str]:
    kind = " ".join(str(key[name]) for name in ("kty", "crv") if name in key)
    return str(key.get("alg", "-")), kind, escape(str(key.get("kid", "-")))
