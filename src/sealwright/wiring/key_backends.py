"""Every kind of key backend by the scheme of its URI; a driver is imported only when a URI names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from sealwright.errors import ConfigurationError, Reason
from sealwright.keys.backend import KeyBackend
from sealwright.keys.backend_uri import BackendUri, backend_setting
from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.sealing import Sealer


def _memory(_: BackendUri) -> KeyBackend:
    from sealwright.keys.backends.memory import MemoryBackend

    return MemoryBackend()


def _pkcs11(uri: BackendUri) -> KeyBackend:
    from sealwright.keys.backends.pkcs11.backend import Pkcs11Backend

    return Pkcs11Backend.open(uri)


def _awskms(uri: BackendUri) -> KeyBackend:
    from sealwright.keys.backends.aws_kms.backend import AwsKmsBackend

    return AwsKmsBackend.open(uri)


def _vault(uri: BackendUri) -> KeyBackend:
    from sealwright.keys.backends.vault.transit import VaultTransitBackend

    return VaultTransitBackend.open(uri)


def _vault_kv(uri: BackendUri) -> KeyBackend:
    from sealwright.keys.backends.vault.key_values import VaultSecrets

    return VaultSecrets.open(uri)


def _gcp_kms(uri: BackendUri) -> KeyBackend:
    from sealwright.keys.backends.gcp_kms.backend import GcpKmsBackend

    return GcpKmsBackend.open(uri)


def _azure_key_vault(uri: BackendUri) -> KeyBackend:
    from sealwright.keys.backends.azure_key_vault.backend import AzureKeyVaultBackend

    return AzureKeyVaultBackend.open(uri)


# Not "local", which needs the data folder and its key-encryption key: open_local.
SCHEMES: Mapping[str, Callable[[BackendUri], KeyBackend]] = MappingProxyType(
    {
        "memory": _memory,
        "pkcs11": _pkcs11,
        "awskms": _awskms,
        "vault": _vault,
        "vaultkv": _vault_kv,
        "gcpkms": _gcp_kms,
        "azurekv": _azure_key_vault,
    }
)
SECRET_SCHEMES = frozenset({"vaultkv"})  # of them, what holds HMAC secrets in place of private keys
LOCAL = "local"


def open_local(folder: Path, sealer: Sealer) -> LocalBackend:
    """Raises ConfigurationError ``settings.kek_wrong``."""
    return LocalBackend(folder, sealer)


def open_backends(uris: Mapping[str, str]) -> dict[str, KeyBackend]:
    """By the names that key records use. Raises ConfigurationError ``settings.backend``; nothing is connected yet."""
    return {name: open_backend(name, uri) for name, uri in uris.items()}


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


def makes(name: str, uri: str) -> frozenset[str] | str:
    """The algorithms of a backend, or why they cannot be told here. Raises ValueError for a URI that is wrong."""
    if name == LOCAL:
        return LocalBackend.algorithms
    try:
        parsed = BackendUri.parse(uri)
    except ConfigurationError as error:
        raise ValueError(error.message) from None
    if parsed.scheme not in SCHEMES:
        raise ValueError(f"unknown scheme; known: {', '.join(sorted(SCHEMES))}")
    try:
        return open_backend(name, uri).algorithms
    except ConfigurationError as error:  # a driver or a secret that is only where the service runs
        return error.message
