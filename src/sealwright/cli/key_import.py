"""sealwright keys import and keys adopt: keys that signed elsewhere come in under their old kid."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from sealwright.cli.key_files import is_json, read_password, read_signing_key
from sealwright.cli.key_table import print_keys
from sealwright.cli.options import DEFAULT, Home, Issuer, Json, Why, check_one_stdin, print_json, read_bytes
from sealwright.cli.session import open_calls
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.key_formats import read_public

_KID = typer.Option("--kid", help="The kid that verifiers know it by; the JWK's own, or else its thumbprint, if unset.")


class As(StrEnum):
    """What the key becomes."""

    active = "active"
    standby = "standby"
    verify_only = "verify_only"


State = Annotated[
    As,
    typer.Option(
        "--as",
        help="active: the first key of a new issuer. standby: signs after its dwell. verify_only: for old tokens.",
    ),
]


def import_key(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A JWK, PEM or DER file, or - for standard input.")],
    state: State,
    issuer: Issuer = DEFAULT,
    kid: Annotated[str | None, _KID] = None,
    alg: Annotated[str | None, typer.Option("--alg", help="The algorithm of a key that names none.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Take the public half alone; only as verify_only.")] = False,
    password_file: Annotated[
        str | None, typer.Option("--password-file", help="Its first line opens an encrypted key.")
    ] = None,
    reason: Why = "routine",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Bring in a key from a file, under the kid that verifiers know."""
    check_one_stdin(file, password_file)
    jwk = _public_jwk(file, alg) if public else _private_jwk(file, alg, password_file)
    with open_calls(home, create=True) as calls:
        _show(calls.import_key(issuer, state=state, reason=reason, jwk=jwk, key_id=kid), as_json)


def adopt(
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="The key in its backend's own words, such as an ARN or a label.")
    ],
    state: State,
    backend: Annotated[str, typer.Option("--backend", help="The backend that holds it.")],
    alg: Annotated[str, typer.Option("--alg", help="The one algorithm that it signs with.")],
    kid: Annotated[str, _KID],
    issuer: Issuer = DEFAULT,
    reason: Why = "routine",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take over a key that a KMS or an HSM holds already."""
    named = {"reference": reference, "backend": backend, "algorithm": alg, "key_id": kid}
    with open_calls(home, create=True) as calls:
        _show(calls.import_key(issuer, state=state, reason=reason, **named), as_json)


def _private_jwk(file: str, alg: str | None, password_file: str | None) -> dict[str, Any]:
    key = read_signing_key(file, alg=alg, password=read_password(password_file))
    if not isinstance(key, PrivateJWK):
        raise RejectedError(Reason.KEY_UNSUPPORTED, "this is an HMAC secret: sealwright secrets keeps those")
    return key.export_private_dict()


def _public_jwk(file: str, alg: str | None) -> dict[str, Any]:
    data = read_bytes(file)
    if not is_json(data):
        return read_public(data, alg=alg).to_dict()
    members = strict_json.parse_object(data)
    return members if alg is None else {**members, "alg": alg}


def _show(key: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(key)
    else:
        print_keys([key])
