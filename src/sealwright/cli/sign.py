"""sealwright sign: an access token from claims, or a signature over any bytes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sealwright.cli.options import DEFAULT, Home, Issuer, Json, print_json, read_bytes, read_claims, read_seconds
from sealwright.cli.session import open_calls
from sealwright.errors import Reason, RejectedError


def sign(
    issuer: Issuer = DEFAULT,
    claims: Annotated[
        str | None, typer.Option("--claims", "-c", help="Claims as a JSON object, @FILE, or - for standard input.")
    ] = None,
    audience: Annotated[
        list[str] | None, typer.Option("--audience", "-a", help="Who the token is for; may be repeated.")
    ] = None,
    lifetime: Annotated[
        str | None, typer.Option("--lifetime", help="Like 90s or 15m; the longest allowed if unset.")
    ] = None,
    payload: Annotated[str | None, typer.Option("--payload", help="Sign this file's bytes, or - for stdin.")] = None,
    typ: Annotated[str | None, typer.Option("--typ", help="The type of the payload, such as order+jws.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Issue an access token (--claims, --audience), or sign any bytes (--payload, --typ)."""
    if (claims is None) == (payload is None):
        raise RejectedError(Reason.REQUEST_MALFORMED, "give either --claims with --audience, or --payload with --typ")
    if claims is not None:
        if not audience:
            raise RejectedError(Reason.REQUEST_MALFORMED, "a token needs an audience: add --audience NAME")
        members, seconds = read_claims(claims), read_seconds(lifetime) if lifetime else None
        with open_calls(home) as calls:
            answer = calls.issue_token(
                issuer, claims=members, audience=audience[0] if len(audience) == 1 else audience, lifetime_s=seconds
            )
    else:
        if typ is None:
            raise RejectedError(Reason.REQUEST_MALFORMED, "a payload needs a type: add --typ, such as order+jws")
        data = read_bytes(str(payload))
        with open_calls(home) as calls:
            answer = calls.sign_payload(issuer, payload=data, typ=typ)
    if as_json:
        print_json(answer)
    else:
        sys.stdout.write(answer["token"] + "\n")
