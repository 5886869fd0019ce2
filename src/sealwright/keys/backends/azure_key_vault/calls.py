"""KeyVaultCalls: each call to Azure Key Vault that a key backend needs: bounded, retried, its errors translated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import DefaultAzureCredential
from azure.keyvault.keys import KeyClient, KeyProperties, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import BackendError, Reason
from sealwright.keys.backend import none_if_missing
from sealwright.keys.per_process import PerProcess
from sealwright.keys.retrying import Retrying

T = TypeVar("T")
_CONNECT_S, _READ_S = 2.0, 4.0
_ONCE: Mapping[str, Any] = {"retry_total": 0, "permit_redirects": False}  # Retrying bounds the attempts
_GONE = ("ObjectIsDeletedButRecoverable", "ObjectIsBeingDeleted")


@dataclass(frozen=True, slots=True)
class FixedToken:
    """A credential that is known already. Its repr does not show it."""

    token: str = field(repr=False)

    def get_token(self, *_scopes: str, **_named: Any) -> AccessToken:
        return AccessToken(self.token, int(SYSTEM_CLOCK.now()) + 3600)


@dataclass(frozen=True, slots=True)
class Vault:
    """Where it is. ``ca_file`` and ``token`` are for a test's server on loopback, which is no part of Azure."""

    url: str
    ca_file: str | None = None
    token: FixedToken | None = None


class _Driver:
    """The clients of one process, on one pool of connections: one for the vault, one for each key that signs."""

    def __init__(self, vault: Vault) -> None:
        self._credential: TokenCredential = vault.token or DefaultAzureCredential()
        self._options = {**_ONCE, "verify_challenge_resource": vault.token is None}
        self._options["transport"] = RequestsTransport(
            connection_verify=vault.ca_file or True, connection_timeout=_CONNECT_S, read_timeout=_READ_S
        )
        self.keys = KeyClient(vault.url, self._credential, **self._options)
        self._signers: dict[str, CryptographyClient] = {}

    def signer(self, key: KeyVaultKey) -> CryptographyClient:
        """Made from the whole key, so that the SDK reads nothing more before it signs."""
        signer = self._signers.get(key.id)
        if signer is None:
            signer = self._signers.setdefault(key.id, CryptographyClient(key, self._credential, **self._options))
        return signer

    def close(self) -> None:
        self.keys.close()
        if isinstance(self._credential, DefaultAzureCredential):
            self._credential.close()


class KeyVaultCalls:
    """Every method may raise BackendError; the SDK's exception is its ``__cause__``, and never in its text."""

    def __init__(self, vault: Vault, retrying: Retrying) -> None:
        self._driver = PerProcess(lambda: _Driver(vault), _Driver.close)
        self._retrying = retrying

    def close(self) -> None:
        self._driver.close()

    def create(self, name: str, kind: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Makes a new version where the key exists already; Azure has no other way to ask."""
        named = {**kind, "tags": dict(tags), "key_operations": ["sign", "verify"]}
        self._call(lambda driver: driver.keys.create_key(name, **named))

    def key(self, name: str, version: str | None = None) -> KeyVaultKey | None:
        """Its current version unless one is named."""
        return self._or_none(lambda driver: driver.keys.get_key(name, version))

    def versions(self, name: str) -> list[KeyProperties]:
        return self._or_none(lambda driver: list(driver.keys.list_properties_of_key_versions(name))) or []

    def listed(self) -> list[KeyProperties]:
        return self._call(lambda driver: list(driver.keys.list_properties_of_keys()))

    def set_tags(self, name: str, version: str | None, tags: Mapping[str, str]) -> None:
        self._call(lambda driver: driver.keys.update_key_properties(name, version, tags=dict(tags)))

    def switch(self, name: str, version: str, *, on: bool) -> None:
        """No error for a key that is gone."""
        self._or_none(lambda driver: driver.keys.update_key_properties(name, version, enabled=on))

    def delete(self, name: str) -> None:
        """Starts it, and does not wait for the end. No error for a key that is gone."""
        self._or_none(lambda driver: driver.keys.begin_delete_key(name))

    def sign(self, key: KeyVaultKey, algorithm: str, digest: bytes) -> tuple[bytes, str | None]:
        """The signature, and what Azure calls the request."""
        ids: list[str | None] = [None]

        def remember(response: Any) -> None:
            ids.append(response.http_response.headers.get("x-ms-request-id"))

        signed = self._call(
            lambda driver: driver.signer(key).sign(SignatureAlgorithm(algorithm), digest, raw_response_hook=remember)
        )
        return signed.signature, ids[-1]

    def _or_none(self, ask: Callable[[_Driver], T]) -> T | None:
        return none_if_missing(lambda: self._call(ask))

    def _call(self, ask: Callable[[_Driver], T]) -> T:
        def attempt() -> T:
            try:
                return ask(self._driver.get())
            except AzureError as error:
                if _is_transient(error):
                    raise _translated(error) from error
                raise

        try:
            return self._retrying.call(attempt)
        except (AzureError, ValueError) as error:  # ValueError: the vault asks for a token of somebody else's
            raise _translated(error) from error


def _is_transient(error: AzureError) -> bool:
    status = getattr(error, "status_code", None) or 0
    return isinstance(error, ServiceRequestError | ServiceResponseError) or status in (408, 429) or status >= 500


def _translated(error: Exception) -> BackendError:
    status = getattr(error, "status_code", None)
    code = _inner_code(error) or str(status or "")
    detail = f"{type(error).__name__} {code}".rstrip()  # the text could hold what a log should not
    if status == 404 or code in _GONE:
        return BackendError(Reason.BACKEND_KEY_MISSING, "the key backend does not have this key", detail=detail)
    if code == "KeyDisabled":
        message = "this key is switched off at its backend: enable it there"
        return BackendError(Reason.BACKEND_KEY_DISABLED, message, detail=detail)
    if status == 429:
        message = "Azure Key Vault refuses more calls: the limit of the vault is used up; sign less, or use more vaults"
        return BackendError(Reason.BACKEND_THROTTLED, message, detail=detail)
    if status in (401, 403) or not isinstance(error, HttpResponseError):
        message = "the call to Azure Key Vault failed: check that it can be reached, the credential and its roles"
        return BackendError(Reason.BACKEND_FAILED, message, detail=detail)
    return BackendError(Reason.BACKEND_FAILED, "the call to Azure Key Vault failed", detail=detail)


def _inner_code(error: Exception) -> str:
    answered = getattr(error, "error", None)
    inner = getattr(answered, "innererror", None) or {}
    code = inner.get("code") if isinstance(inner, dict) else None
    return str(code or getattr(answered, "code", None) or "")[:64]
