"""A service to talk to over HTTP: with a credential file that renews itself, and the certificates to trust."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from sealwright.cli.output import new_file
from sealwright.client import KeyServiceClient, RenewedCredential
from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.settings import ClientSettings
from sealwright.wiring.data_folder import DataFolder


def remote_service(settings: ClientSettings) -> KeyServiceClient:
    """The service at SEALWRIGHT_URL. Raises ConfigurationError ``settings.*``."""
    url, file = settings.url, settings.credential_file
    if url is None or file is None:
        message = "SEALWRIGHT_URL and SEALWRIGHT_CREDENTIAL_FILE go together: credentials issue makes a credential"
        raise ConfigurationError(Reason.SETTINGS_INVALID, message)
    tls = {"ssl_context": _context(settings)} if url.startswith("https:") else {}

    def renew(token: str) -> str:
        return str(KeyServiceClient(url, lambda: token, **tls).access.renew()["token"])

    credential = RenewedCredential(lambda: _read(file), lambda token: _write(file, token), renew, SYSTEM_CLOCK)
    return KeyServiceClient(url, credential, **tls)


def local_service(url: str, folder: DataFolder, settings: ClientSettings) -> KeyServiceClient:
    """The service that owns this folder. Its certificate is the one that it noted, whoever signed it."""
    tls: dict[str, Any] = {}
    if fingerprint := folder.noted_certificate():
        context = _context(settings)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        tls = {"ssl_context": context, "assert_fingerprint": fingerprint}
    return KeyServiceClient(url, lambda: _read(folder.operator_credential), **tls)


def _context(settings: ClientSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the file may hold the very certificate to trust
        if settings.client_cert_file is not None:
            context.load_cert_chain(settings.client_cert_file, settings.client_key_file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        message = "SEALWRIGHT_CA_FILE, SEALWRIGHT_CLIENT_CERT_FILE and SEALWRIGHT_CLIENT_KEY_FILE are PEM files: "
        raise ConfigurationError(Reason.SETTINGS_TLS, f"{message}one of them cannot be used") from error
    return context


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the credential {path}: are you its owner?"
        raise RejectedError(Reason.CREDENTIAL_MISSING, message) from error


def _write(path: Path, token: str) -> None:
    """Whole, and for its owner alone."""
    with new_file(path) as file:
        assert file is not None
        file.write(token.encode() + b"\n")
        file.keep()
