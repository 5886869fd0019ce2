"""sealwright sign: with managed keys, an access token or any bytes; with keys from files, every form of JWS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sealwright.cli.encryption import encrypted
from sealwright.cli.options import (
    DEFAULT,
    Home,
    Issuer,
    Json,
    leave_out,
    print_json,
    read_bytes,
    read_claims,
    read_seconds,
)
from sealwright.cli.session import open_calls
from sealwright.cli.sign_lines import sign_lines
from sealwright.cli.sign_with_keys import Form, JwsOptions, KeyOptions, sign_with_keys
from sealwright.errors import Reason, RejectedError

_FILES = "With keys from files"


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
    status: Annotated[
        bool, typer.Option("--status", help="A place in a status list, so that the token can be suspended.")
    ] = False,
    lines: Annotated[
        str | None, typer.Option("--lines", help="Claims, one JSON object a line of this file, or - for stdin.")
    ] = None,
    payload: Annotated[str | None, typer.Option("--payload", help="Sign this file's bytes, or - for stdin.")] = None,
    typ: Annotated[str | None, typer.Option("--typ", help="The type of the payload, such as order+jws.")] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key", rich_help_panel=_FILES, help="A file with a private JWK, PEM or DER; several sign together."
        ),
    ] = None,
    alg: Annotated[
        list[str] | None,
        typer.Option("--alg", rich_help_panel=_FILES, help="The algorithm of a key that fits several; once per --key."),
    ] = None,
    password_file: Annotated[
        str | None,
        typer.Option(
            "--password-file", rich_help_panel=_FILES, help="Its first line opens encrypted keys; - for stdin."
        ),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option("--form", rich_help_panel=_FILES, help="compact for one key and general for several, if unset."),
    ] = None,
    detached: Annotated[
        bool,
        typer.Option("--detached", rich_help_panel=_FILES, help="Leave the payload out; in compact form of any size."),
    ] = False,
    unencoded: Annotated[
        bool, typer.Option("--unencoded", rich_help_panel=_FILES, help='Sign the payload as it is: "b64": false.')
    ] = False,
    add_to: Annotated[
        str | None,
        typer.Option("--add-to", rich_help_panel=_FILES, help="Add a signature to the JSON JWS in this file, or -."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", rich_help_panel=_FILES, help="Write the JWS to a file.")] = None,
    encrypt_for: Annotated[
        str | None,
        typer.Option("--encrypt-for", help="A recipient's public JWK: what is signed is encrypted for it."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Issue an access token (--claims, --audience) or many (--lines), or sign any bytes (--payload, --typ).

    With --key, sign any bytes with keys from files, in every form of JWS; no data folder is touched.
    """
    leave_out("only a token of --claims has a status", status=status and claims is None)
    if key:
        leave_out("--key signs a --payload, and touches no data folder", claims=claims, lines=lines, home=home)
        leave_out("--key issues no tokens", audience=audience, lifetime=lifetime, issuer=issuer != DEFAULT)
        jws = JwsOptions(
            payload=payload,
            typ=typ,
            form=form,
            detached=detached,
            unencoded=unencoded,
            add_to=add_to,
            out=out,
            encrypt_for=encrypt_for,
        )
        sign_with_keys(KeyOptions(files=key, algorithms=alg or (), password_file=password_file), jws, as_json=as_json)
        return
    why = "these options are for keys from files, with --key FILE"
    leave_out(why, alg=alg, password_file=password_file, form=form, detached=detached, unencoded=unencoded)
    leave_out(why, add_to=add_to, out=out)
    if [claims, lines, payload].count(None) != 2:
        raise _wrong("give either --claims or --lines with --audience, or --payload with --typ")
    if lines is not None:
        leave_out("--lines signs tokens, each for itself", typ=typ, encrypt_for=encrypt_for)
        sign_lines(lines, issuer, _audience(audience), _seconds(lifetime), home=home, as_json=as_json)
        return
    if claims is None:
        _print(_any(issuer, payload, typ, home), encrypt_for, as_json)
    else:
        _print(_token(issuer, claims, audience, lifetime, status, home), encrypt_for, as_json)


def _print(answer: dict[str, Any], encrypt_for: str | None, as_json: bool) -> None:
    if encrypt_for is not None:
        answer["token"] = encrypted(answer["token"], encrypt_for)
    if as_json:
        print_json(answer)
    else:
        sys.stdout.write(answer["token"] + "\n")


def _token(
    issuer: str, claims: str, audience: list[str] | None, lifetime: str | None, status: bool, home: Path | None
) -> dict[str, Any]:
    whom, members, seconds = _audience(audience), read_claims(claims), _seconds(lifetime)
    with open_calls(home) as calls:
        return calls.issue_token(issuer, claims=members, audience=whom, lifetime_s=seconds, status=status)


def _audience(names: list[str] | None) -> str | list[str]:
    if not names:
        raise _wrong("a token needs an audience: add --audience NAME")
    return names[0] if len(names) == 1 else names


def _seconds(lifetime: str | None) -> float | None:
    return read_seconds(lifetime) if lifetime else None


def _any(issuer: str, payload: str | None, typ: str | None, home: Path | None) -> dict[str, Any]:
    if typ is None:
        raise _wrong("a payload needs a type: add --typ, such as order+jws")
    data = read_bytes(str(payload))
    with open_calls(home) as calls:
        return calls.sign_payload(issuer, payload=data, typ=typ)


def _wrong(message: str) -> RejectedError:
    return RejectedError(Reason.REQUEST_MALFORMED, message)
