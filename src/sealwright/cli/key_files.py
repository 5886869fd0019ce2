"""Key files: bounded reads, and new private files that nobody else can read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sealwright.cli.options import read_bytes
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.encryption_keys import KEY_ALGORITHMS, DecryptionJWK
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.jose.key_formats import read_private
from sealwright.jose.key_types import KEY_TYPES
from sealwright.jose.secret_jwk import SecretJWK


def read_jwk(source: str) -> PublicJWK:
    """A public JWK, or the public half of a private one."""
    members = strict_json.parse_object(read_bytes(source))
    kind = KEY_TYPES.get(str(members.get("kty")))
    is_private = kind is not None and any(name in members for name in kind.private)
    return PrivateJWK.from_dict(members).public if is_private else PublicJWK.from_dict(members)


def public_members(source: str) -> dict[str, Any]:
    """The public half of a private JWK, one that signs or one that decrypts."""
    members = strict_json.parse_object(read_bytes(source))
    kind = DecryptionJWK if members.get("use") == "enc" or members.get("alg") in KEY_ALGORITHMS else PrivateJWK
    return kind.from_dict(members).public.to_dict()


def read_private_jwk(source: str) -> PrivateJWK:
    return PrivateJWK.from_dict(strict_json.parse_object(read_bytes(source)))


def read_signing_key(source: str, *, alg: str | None, password: bytes | None) -> PrivateJWK | SecretJWK:
    """A private or secret JWK, or a private key as PEM or DER; ``alg`` is for those that name none."""
    data = read_bytes(source)
    if not is_json(data):
        return read_private(data, alg=alg, password=password)
    members = strict_json.parse_object(data)
    if "keys" in members:
        raise RejectedError(Reason.KEY_AMBIGUOUS, "a key set does not say which key signs: give one key in each file")
    if alg is not None and members.setdefault("alg", alg) != alg:
        raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "the key is bound to another algorithm: leave out --alg")
    return (SecretJWK if members.get("kty") == "oct" else PrivateJWK).from_dict(members)


def is_json(data: bytes) -> bool:
    """Whether this is meant to be a JWK or a JWK Set, and not PEM, DER or an OpenSSH line."""
    return data.lstrip().startswith(b"{")


def read_password(source: str | None) -> bytes | None:
    """The first line of a file, without its end. Raises RejectedError ``key.password`` when it is empty."""
    if source is None:
        return None
    password = read_bytes(source).split(b"\n", 1)[0].removesuffix(b"\r")
    if not password:
        raise RejectedError(Reason.KEY_PASSWORD, "the first line of the password file is empty")
    return password


def write_private(path: Path, data: bytes) -> None:
    """A new file of mode 0600. Raises RejectedError ``request.malformed``; an existing file is never replaced."""
    with private_file(path) as write:
        write(data)


@contextmanager
def private_file(path: Path | None) -> Iterator[Callable[[bytes], None]]:
    """Makes the file of ``write_private`` ahead of what it is for, such as a secret that is shown once. Whatever fails
    then, the file is gone again. Nothing happens without a path.
    """
    if path is None:
        yield lambda _: None
        return
    with _as_rejected(path):
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)

    def write(data: bytes) -> None:
        with _as_rejected(path):
            file.write(data)

    try:
        with file:
            yield write
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def _as_rejected(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise RejectedError(Reason.REQUEST_MALFORMED, message) from error
