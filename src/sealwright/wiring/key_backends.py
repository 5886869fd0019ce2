"""Every kind of key backend by the scheme of its URI; a driver is imported only when a URI names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sealwright.errors import ConfigurationError, Reason
from sealwright.keys.backend import KeyBackend
from sealwright.keys.backend_uri import BackendUri, backend_setting
from sealwright.keys.backends.local import LocalBackend, parse_kek
from sealwright.wiring.data_folder import DataFolder


def _memory(_: BackendUri) -> KeyBackend:
    from sealwright.keys.backends.memory import MemoryBackend

    return MemoryBackend()


def _pkcs11(uri: BackendUri) -> KeyBackend:
    from sealwright.keys.backends.pkcs11.backend import Pkcs11Backend

    return Pkcs11Backend.open(uri)


# Not "local", which needs the data folder and its key-encryption key: open_local.
SCHEMES: Mapping[str, Callable[[BackendUri], KeyBackend]] = MappingProxyType({"memory": _memory, "pkcs11": _pkcs11})
LOCAL = "local"


def open_local(folder: DataFolder, kek_text: str) -> LocalBackend:
    """Raises ConfigurationError ``settings.kek_*``."""
    return LocalBackend(folder.keys, parse_kek(kek_text))


def open_backend(name: str, uri: str) -> KeyBackend:
    """The backend that key records will call ``name``. No connection is made yet.

    Raises ConfigurationError ``settings.backend`` for a URI that is wrong, or whose driver is not installed.
    """
    parsed = BackendUri.parse(uri)
    opener = SCHEMES.get(parsed.scheme)
    if opener is None:
        raise backend_setting(f"unknown scheme; known: {', '.join(sorted({*SCHEMES, LOCAL}))}")
    try:
        backend = opener(parsed)
    except ImportError as error:
        raise ConfigurationError(
            Reason.SETTINGS_BACKEND,
            f"backend: the driver for {parsed.scheme}: is not installed: pip install 'sealwright[{parsed.scheme}]'",
            detail=error.name,
        ) from error
    backend.name = name
    return backend
