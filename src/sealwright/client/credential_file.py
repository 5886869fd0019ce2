"""The credential of a client in a file, which is replaced as it is renewed."""

from __future__ import annotations

import os
import ssl
import tempfile
from contextlib import suppress
from pathlib import Path

from sealwright.client.key_service import KeyServiceClient
from sealwright.client.renewal import RenewedCredential
from sealwright.clock import Clock
from sealwright.errors import Reason, RejectedError


def credential_in(file: Path, service_url: str, tls: ssl.SSLContext | None, clock: Clock) -> RenewedCredential:
    """Reading it raises RejectedError ``credential.missing`` where there is none."""
    options = {} if tls is None else {"ssl_context": tls}

    def renew(token: str) -> str:
        return str(KeyServiceClient(service_url, lambda: token, **options).access.renew()["token"])

    return RenewedCredential(lambda: _read(file), lambda token: _write(file, token), renew, clock)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RejectedError(Reason.CREDENTIAL_MISSING, f"cannot read the credential {path}") from error


def _write(path: Path, token: str) -> None:
    """Whole, and for its owner alone. Where nothing can be written the credential serves until it expires."""
    with suppress(OSError):
        descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
        Path(made).replace(path)
