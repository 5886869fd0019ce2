"""sealwright jwk: make, read, write and show single keys, without a service."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from sealwright.cli.key_files import public_members, read_jwk, read_password, read_private_jwk, write_private
from sealwright.cli.new_keys import Made, new_key
from sealwright.cli.options import Json, print_json, print_table, read_bytes
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.key_formats import export_private_pem, read_private, read_public, write_public

app = typer.Typer(no_args_is_help=True, help="Make, convert and show single keys.")


class Form(StrEnum):
    """How a key is written."""

    pem = "pem"
    der = "der"
    openssh = "openssh"


File = Annotated[str, typer.Argument(metavar="FILE", help="A file with a JWK, or - for standard input.")]
Alg = Annotated[str | None, typer.Option("--alg", help="The key's one algorithm; an RSA key fits several.")]
Kid = Annotated[str | None, typer.Option("--kid", help="The key's name; its thumbprint if unset.")]
Private = Annotated[bool, typer.Option("--private", help="The private key, in the clear, wherever it is written to.")]
Out = Annotated[Path | None, typer.Option("--out", help="A new file, readable by its owner alone.")]
Password = Annotated[
    str | None, typer.Option("--password-file", help="A file whose first line is the password, or - for stdin.")
]


@app.command()
def generate(
    alg: Annotated[str, typer.Option("--alg", help="The key's one algorithm, such as ES256.")],
    kid: Kid = None,
    out: Out = None,
    private: Private = False,
    as_json: Json = False,
) -> None:
    """Make a private key or a secret: into a file with --out, or onto standard output with --private.

    ES256, RS256, Ed25519, ML-DSA-65 and so on sign, HS256 is a shared secret that signs; RSA-OAEP-256, ECDH-ES and
    A256KW are for sign --encrypt-for.
    """
    _check_where(out, private)
    _write_private_jwk(new_key(alg, kid), out, as_json)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="PEM, DER, an OpenSSH line or a certificate; or -.")],
    alg: Alg = None,
    kid: Kid = None,
    private: Private = False,
    out: Out = None,
    password_file: Password = None,
    as_json: Json = False,
) -> None:
    """Read a key in another form and print it as a JWK; with --private, a private key."""
    data = read_bytes(file)
    if private:
        key = read_private(data, alg=alg, key_id=kid, password=read_password(password_file))
        _write_private_jwk(Made(key.export_private_dict(), key.public.to_dict()), out, as_json)
        return
    _refuse_without_private(out, password_file)
    print_json(read_public(data, alg=alg, key_id=kid).to_dict())


@app.command()
def export(
    file: File,
    form: Annotated[Form, typer.Option("--form", help="A private key is written as PEM (PKCS#8).")] = Form.pem,
    private: Private = False,
    out: Out = None,
    password_file: Password = None,
) -> None:
    """Write the public key of a JWK as PEM, DER or an OpenSSH line; with --private, the private key as PEM."""
    if not private:
        _refuse_without_private(out, password_file)
        _write_bytes(write_public(read_jwk(file), form=form.value))
        return
    if form is not Form.pem:
        raise RejectedError(Reason.REQUEST_MALFORMED, "a private key is written as PEM: leave --form out")
    pem = export_private_pem(read_private_jwk(file), password=read_password(password_file))
    if out is None:
        _write_bytes(pem)
    else:
        write_private(out, pem)


@app.command()
def public(file: File) -> None:
    """Print the public half of a private JWK."""
    print_json(public_members(file))


@app.command()
def thumbprint(
    file: File,
    uri: Annotated[bool, typer.Option("--uri", help="As a URI (RFC 9278).")] = False,
    as_json: Json = False,
) -> None:
    """Print the SHA-256 thumbprint of a key (RFC 7638)."""
    key = read_jwk(file)
    text = key.thumbprint_uri() if uri else key.thumbprint()
    if as_json:
        print_json({"thumbprint": text})
    else:
        sys.stdout.write(text + "\n")


@app.command()
def show(file: File, as_json: Json = False) -> None:
    """Show what a key is, public or private; no private member is ever printed."""
    key = read_jwk(file)
    if as_json:
        print_json({**key.to_dict(), "thumbprint": key.thumbprint()})
    else:
        print_table(("MEMBER", "VALUE"), [*_rows(key.to_dict()), ("thumbprint", key.thumbprint())])


def _rows(members: Mapping[str, Any]) -> list[tuple[str, str]]:
    named = {"kty", "crv", "alg", "kid", "use", "iat", "nbf", "exp", "revoked"}
    return [(name, escape(str(value))) for name, value in members.items() if name in named]


def _check_where(out: Path | None, private: bool) -> None:
    if out is None and not private:
        message = "a private key goes into a file with --out FILE, or onto standard output with --private"
        raise RejectedError(Reason.REQUEST_MALFORMED, message)


def _refuse_without_private(out: Path | None, password_file: str | None) -> None:
    if out is not None or password_file is not None:
        raise RejectedError(Reason.REQUEST_MALFORMED, "--out and --password-file are for private keys: add --private")


def _write_private_jwk(key: Made, out: Path | None, as_json: bool) -> None:
    """Onto standard output, or into a file, and then it is shown without what is private."""
    if out is None:
        print_json(key.whole)
        return
    write_private(out, strict_json.encode_object(key.whole) + b"\n")
    if as_json:
        print_json(key.shown)
    else:
        print_table(("MEMBER", "VALUE"), _rows(key.shown))


def _write_bytes(data: bytes) -> None:
    sys.stdout.buffer.write(data if data.startswith(b"0") or data.endswith(b"\n") else data + b"\n")
    sys.stdout.buffer.flush()
