"""sealwright sign --key: every form of JWS, with keys from files; no data folder is touched."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sealwright.cli.encryption import encrypted
from sealwright.cli.key_files import read_password, read_signing_key
from sealwright.cli.options import check_one_stdin, print_json, read_bytes
from sealwright.cli.output import new_file
from sealwright.cli.progress import open_content
from sealwright.errors import Reason, RejectedError
from sealwright.jose import json_forms
from sealwright.jose.compact import MAXIMUM_TOKEN_BYTES
from sealwright.jose.detached import sign_stream
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.jose.signing import sign

FileKey = PrivateJWK | SecretJWK


class Form(StrEnum):
    """How a JWS is written."""

    compact = "compact"
    flattened = "flattened"
    general = "general"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOptions:
    """Which files hold the keys, and what they do not say themselves."""

    files: Sequence[str]
    algorithms: Sequence[str]
    password_file: str | None

    def read(self) -> list[FileKey]:
        algorithms: Sequence[str | None] = self.algorithms or [None] * len(self.files)
        if len(algorithms) != len(self.files):
            raise _wrong("give --alg once for each --key, in their order, or not at all")
        password = read_password(self.password_file)
        return [
            read_signing_key(file, alg=alg, password=password) for file, alg in zip(self.files, algorithms, strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class JwsOptions:
    """What is signed, and how the JWS is written."""

    payload: str | None
    typ: str | None
    form: Form | None
    detached: bool
    unencoded: bool
    add_to: str | None
    out: Path | None
    encrypt_for: str | None


def sign_with_keys(keys: KeyOptions, jws: JwsOptions, *, as_json: bool) -> None:
    """Print a JWS, or write it to a file. Raises RejectedError ``request.*``, ``key.*`` or ``payload.*``."""
    check_one_stdin(*keys.files, keys.password_file, jws.payload, jws.add_to, jws.encrypt_for)
    signers = keys.read()
    text = _add(signers, jws) if jws.add_to is not None else _signed(signers, jws, quiet=as_json)
    if jws.encrypt_for is not None:
        text = encrypted(text, jws.encrypt_for)
    if len(text) > MAXIMUM_TOKEN_BYTES:
        message = f"the JWS would be larger than {MAXIMUM_TOKEN_BYTES} bytes, which is refused: add --detached"
        raise RejectedError(Reason.TOKEN_TOO_LARGE, message)
    with new_file(jws.out) as file:
        if file is not None:
            file.write(text.encode() + b"\n")
            file.keep()
    signed_by = [{"key_id": key.key_id, "algorithm": key.algorithm.name} for key in signers]
    if as_json:
        print_json({"token": text, "signed_by": signed_by})
    elif jws.out is None:
        sys.stdout.write(text + "\n")


def _signed(signers: Sequence[FileKey], jws: JwsOptions, *, quiet: bool) -> str:
    form = jws.form or (Form.compact if len(signers) == 1 else Form.general)
    if form is not Form.general and len(signers) > 1:
        raise _wrong(f"the {form} form has one signature: several keys need --form general")
    if jws.payload is None:
        raise _wrong("what is to be signed? Add --payload FILE, or - for standard input")
    if form is Form.compact and jws.detached:
        with open_content(jws.payload, quiet=quiet) as content:
            return sign_stream(
                content.stream, signers[0], typ=jws.typ, b64=not jws.unencoded, progress=content.progress
            )
    return _write(form, read_bytes(jws.payload), signers, jws)


def _write(form: Form, payload: bytes, signers: Sequence[FileKey], jws: JwsOptions) -> str:
    b64 = not jws.unencoded
    if form is Form.compact:
        return sign(payload, signers[0], typ=jws.typ, b64=b64)
    if form is Form.flattened:
        return json_forms.sign_flattened(payload, signers[0], typ=jws.typ, detached=jws.detached, b64=b64)
    return json_forms.sign_general(payload, signers, typ=jws.typ, detached=jws.detached, b64=b64)


def _add(signers: Sequence[FileKey], jws: JwsOptions) -> str:
    """Its form, its payload and its encoding are those of the JWS that is added to."""
    if jws.form is not None or jws.detached or jws.unencoded:
        raise _wrong("--add-to keeps what the JWS has: leave out --form, --detached and --unencoded")
    data = read_bytes(str(jws.add_to)).strip()
    if data and not data.startswith(b"{"):
        raise _wrong("only a JWS in JSON takes another signature: sign with --form general, or with several --key")
    payload = None if jws.payload is None else read_bytes(jws.payload)
    text = data
    for signer in signers:
        text = json_forms.add_signature(text, signer, typ=jws.typ, payload=payload).encode()
    return text.decode()


def _wrong(message: str) -> RejectedError:
    return RejectedError(Reason.REQUEST_MALFORMED, message)
