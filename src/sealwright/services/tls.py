"""TLS and mTLS of a listener: certificate files that are checked at the start, and loaded again when they change."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sealwright.errors import ConfigurationError, Reason
from sealwright.events import CertificateLoaded, Observer, tell
from sealwright.settings import ServiceSettings

LOOK_EVERY_S = 1.0
_TOO_OPEN = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO  # a group may read, as mounted secrets need it
_FIRST = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class ListenerTls:
    """TLS 1.2 at least; with a client CA only callers who show a certificate of it get through.

    Raises ConfigurationError ``settings.tls``.
    """

    def __init__(self, cert_file: Path, key_file: Path, client_ca_file: Path | None = None) -> None:
        self._cert_file, self._key_file = cert_file, key_file
        self._client_ca_file = client_ca_file
        self._loaded = self._stamp()
        self.context = self._made()
        self.fingerprint = self._fingerprint()  # SHA-256 of the certificate that is served, in hexadecimal digits

    def refresh(self) -> bool:
        """Load the certificate again if its files have changed; one that cannot be used leaves the old in place.

        Connections that stand are not touched. Raises ConfigurationError ``settings.tls``.
        """
        if (stamp := self._stamp()) == self._loaded:
            return False
        self._made()  # half a pair must not get into the context that serves
        self.context.load_cert_chain(self._cert_file, self._key_file)
        self._loaded, self.fingerprint = stamp, self._fingerprint()
        return True

    @asynccontextmanager
    async def watched(self, changed: Callable[[], None], observer: Observer) -> AsyncIterator[None]:
        """Looks once a second while the application runs; what is wrong meanwhile may be right at the next look."""

        async def watch() -> None:
            wrong: Reason | None = None
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                before = wrong
                try:
                    loaded, wrong = self.refresh(), None
                except ConfigurationError as error:
                    loaded, wrong = False, error.reason
                if loaded:
                    changed()
                if loaded or (wrong and not before):  # what stays wrong is said once
                    tell(observer, CertificateLoaded(self.fingerprint, wrong))

        task = asyncio.create_task(watch())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def _fingerprint(self) -> str:
        found = _FIRST.search(self._cert_file.read_bytes())
        assert found is not None  # it was loaded
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found[0].decode("ascii"))).hexdigest()

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._cert_file, self._key_file, password=_no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            message = f"{self._cert_file} and {self._key_file} are not a certificate chain and its key in PEM"
            raise _wrong(message) from error
        if self._client_ca_file is not None:
            try:
                context.load_verify_locations(self._client_ca_file)
            except (OSError, ValueError) as error:
                raise _wrong(f"{self._client_ca_file} holds no CA certificates in PEM") from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        try:
            facts = [path.stat() for path in (self._cert_file, self._key_file)]
        except OSError as error:
            raise _wrong(f"cannot read {error.filename}: {error.strerror}") from error
        if facts[1].st_mode & _TOO_OPEN:
            raise _wrong(f"others can read {self._key_file}: chmod 600 it")
        return tuple((fact.st_mtime_ns, fact.st_ino, fact.st_size) for fact in facts)


def listener_tls(settings: ServiceSettings) -> ListenerTls | None:
    """None without TLS. Raises ConfigurationError ``settings.tls``."""
    cert, key, client_ca = settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        raise _wrong("SEALWRIGHT_TLS_CERT_FILE and SEALWRIGHT_TLS_KEY_FILE go together, a client CA only with both")
    return ListenerTls(cert, key, client_ca)


def _no_password() -> str:
    """Instead of asking on the terminal."""
    raise ValueError("the key is encrypted")


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_TLS, f"TLS: {message}")
