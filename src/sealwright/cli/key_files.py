"""Key files for the jwk verbs: bounded reads, and new private files that nobody else can read."""

from __future__ import annotations

import os
from pathlib import Path

from sealwright.cli.options import read_bytes
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.jose.key_types import KEY_TYPES


def read_jwk(source: str) -> PublicJWK:
    """A public JWK, or the public half of a private one."""
    members = strict_json.parse_object(read_bytes(source))
    kind = KEY_TYPES.get(str(members.get("kty")))
    is_private = kind is not None and any(name in members for name in kind.private)
    return PrivateJWK.from_dict(members).public if is_private else PublicJWK.from_dict(members)


def read_private_jwk(source: str) -> PrivateJWK:
    return PrivateJWK.from_dict(strict_json.parse_object(read_bytes(source)))


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
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise RejectedError(Reason.REQUEST_MALFORMED, message) from error
