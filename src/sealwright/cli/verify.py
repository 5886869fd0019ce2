"""sealwright verify: accepted, rejected or undecided, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from sealwright.cli.encryption import decrypted
from sealwright.cli.options import Home, Json, check_one_stdin, leave_out, read_token
from sealwright.cli.verify_claims import EXIT_CODES, Wanted, decide_lines, decide_one, given
from sealwright.cli.verify_lines import verify_lines
from sealwright.cli.verify_signatures import Proof, to_dict, verify_one

_SIGNATURES = "Signatures only: no claim is checked, no issuer, no audience and no expiry"
_ONLY, _FOR_KEYS = "--keys proves signatures only", "these options are for signatures, with --keys FILE"


def verify(
    token: Annotated[str, typer.Argument(metavar="FILE", help="A file with the token, or - for standard input.")] = "-",
    audience: Annotated[
        str | None, typer.Option("--audience", "-a", help="Who you are: the token must name you in aud.")
    ] = None,
    issuer: Annotated[
        str | None, typer.Option("--issuer", "-i", help="With --jwks: the issuer URL that the token must name.")
    ] = None,
    jwks: Annotated[
        str | None, typer.Option("--jwks", help="A JWKS URL or file, to verify without a Sealwright service.")
    ] = None,
    algorithm: Annotated[
        list[str] | None, typer.Option("--algorithm", help="With --jwks or --keys: allow only this; may be repeated.")
    ] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="A scope it must have; may be repeated.")] = None,
    lines: Annotated[
        str | None, typer.Option("--lines", help="A file, or -, with one token a line; prints one JSON result a line.")
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--keys", rich_help_panel=_SIGNATURES, help="A JWK, JWK Set, PEM, DER or OpenSSH key: a file or a URL."
        ),
    ] = None,
    content: Annotated[
        str | None, typer.Option("--content", rich_help_panel=_SIGNATURES, help="The detached content: a file or -.")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option("--policy", rich_help_panel=_SIGNATURES, help="any, every, or how many signers; for several."),
    ] = None,
    signer: Annotated[
        list[str] | None,
        typer.Option("--signer", rich_help_panel=_SIGNATURES, help="A kid that must have signed; may be repeated."),
    ] = None,
    hybrid: Annotated[
        bool,
        typer.Option("--hybrid", rich_help_panel=_SIGNATURES, help="A classical and an ML-DSA signature must hold."),
    ] = False,
    out: Annotated[
        str | None,
        typer.Option("--out", rich_help_panel=_SIGNATURES, help="Write the verified payload here; - for stdout."),
    ] = None,
    decrypt_with: Annotated[
        str | None, typer.Option("--decrypt-with", help="Your private JWK, for a signed token that is encrypted.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Verify a token. Exit code 0: accepted, 1: rejected, 3: undecided.

    With --keys, prove the signatures of a JWS in any form; its claims are not looked at.

    With --lines, exit code 0: all accepted, 1: any rejected, 3: none rejected and any undecided.

    Tokens are read from a file or standard input, so that they stay out of the shell's history.
    """
    if lines is not None:
        why = "--lines reads its tokens from its own file"
        leave_out(why, FILE=token != "-", content=content, out=out, decrypt_with=decrypt_with)
    check_one_stdin(token if lines is None else lines, content, jwks, decrypt_with, *(keys or ()))
    if keys:
        leave_out(_ONLY, audience=audience, issuer=issuer, jwks=jwks, scope=scope, home=home)
        proof = Proof.read(keys, algorithms=algorithm or (), policy=policy, signers=signer or (), hybrid=hybrid)
        if lines is None:
            outcome = verify_one(_text(token, decrypt_with), proof, content=content, out=out, as_json=as_json)
        else:
            outcome = verify_lines(lines, lambda text: to_dict(proof.decide(text)))
    else:
        leave_out(_FOR_KEYS, content=content, policy=policy, signer=signer, hybrid=hybrid, out=out)
        wanted = Wanted(
            audience=given(audience),
            issuer=issuer,
            jwks=jwks,
            algorithms=algorithm or (),
            scopes=scope or (),
            home=home,
        )
        if lines is None:
            # Read before the folder is locked: in a pipe, whoever writes the token may still need the folder.
            outcome = decide_one(_text(token, decrypt_with), wanted, as_json=as_json)
        else:
            outcome = decide_lines(lines, wanted)
    raise typer.Exit(EXIT_CODES[outcome])


def _text(token: str, decrypt_with: str | None) -> bytes:
    text = read_token(token)
    return text if decrypt_with is None else decrypted(text, decrypt_with)
