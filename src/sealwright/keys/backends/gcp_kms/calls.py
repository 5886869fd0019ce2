"""CloudKmsCalls: each call to Google that a key backend needs: bounded, retried, checked for damage, translated."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.kms_v1 import CryptoKey, CryptoKeyVersion, KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

from sealwright.errors import BackendError, Reason
from sealwright.keys import signature_forms
from sealwright.keys.backend import none_if_missing
from sealwright.keys.backend_uri import BackendUri
from sealwright.keys.crc32c import crc32c
from sealwright.keys.per_process import PerProcess
from sealwright.keys.retrying import Retrying

T = TypeVar("T")
Connect = Callable[[], KeyManagementServiceClient]
_ONCE: Mapping[str, Any] = {"retry": None, "timeout": 4.0}  # one attempt of the SDK; Retrying bounds them all
_TRANSIENT = (exceptions.TooManyRequests, exceptions.ServerError)
_DAMAGED = "Google's answer was damaged on its way: its checksum does not fit"


def connecting_to(endpoint: str) -> Connect:
    """Google itself when empty; TLS and the process's own credentials, but for a server on loopback: a test's.

    Raises ConfigurationError ``settings.backend``.
    """
    if not endpoint:
        return KeyManagementServiceClient
    if BackendUri.parse(f"grpc://{endpoint}").on_loopback:
        return lambda: KeyManagementServiceClient(
            transport=KeyManagementServiceGrpcTransport(channel=grpc.insecure_channel(endpoint))
        )
    return lambda: KeyManagementServiceClient(client_options={"api_endpoint": endpoint})


class CloudKmsCalls:
    """Every method may raise BackendError; the SDK's exception is its ``__cause__``, and never in its text."""

    def __init__(self, connect: Connect, retrying: Retrying) -> None:
        self._driver = PerProcess(connect, lambda client: client.transport.close())  # type: ignore[no-untyped-call]
        self._retrying = retrying

    def close(self) -> None:
        self._driver.close()

    def create(self, ring: str, key_id: str, key: Mapping[str, Any]) -> None:
        """No error when the key exists already."""
        request = {"parent": ring, "crypto_key_id": key_id, "crypto_key": key}
        try:
            self._call(lambda client: client.create_crypto_key(request=request, **_ONCE))
        except BackendError as error:
            if not isinstance(error.__cause__, exceptions.AlreadyExists):
                raise

    def listed(self, ring: str) -> list[CryptoKey]:
        request = {"parent": ring, "page_size": 1000}
        return self._call(lambda client: list(client.list_crypto_keys(request=request, **_ONCE)))

    def key(self, version: str) -> CryptoKey:
        name = version.partition("/cryptoKeyVersions/")[0]
        return self._call(lambda client: client.get_crypto_key(name=name, **_ONCE))

    def set_labels(self, name: str, labels: Mapping[str, str]) -> None:
        request = {"crypto_key": {"name": name, "labels": labels}, "update_mask": {"paths": ["labels"]}}
        self._call(lambda client: client.update_crypto_key(request=request, **_ONCE))

    def version(self, name: str) -> CryptoKeyVersion | None:
        return none_if_missing(lambda: self._call(lambda client: client.get_crypto_key_version(name=name, **_ONCE)))

    def set_state(self, name: str, state: int) -> None:
        request = {"crypto_key_version": {"name": name, "state": state}, "update_mask": {"paths": ["state"]}}
        self._call(lambda client: client.update_crypto_key_version(request=request, **_ONCE))

    def destroy(self, name: str) -> None:
        self._call(lambda client: client.destroy_crypto_key_version(name=name, **_ONCE))

    def public_pem(self, name: str) -> bytes:
        def intact(client: KeyManagementServiceClient) -> bytes:
            answer = client.get_public_key(name=name, **_ONCE)
            pem: bytes = answer.pem.encode()
            if answer.name != name or crc32c(pem) != answer.pem_crc32c:
                raise BackendError(Reason.BACKEND_FAILED, _DAMAGED)
            return pem

        return self._call(intact)

    def sign(self, name: str, algorithm: str, signing_input: bytes) -> bytes:
        """The signature in Google's form. What was asked, and what was answered, came through whole."""
        kind = signature_forms.hash_name(algorithm)
        given = hashlib.new(kind, signing_input).digest() if kind else signing_input
        request: dict[str, Any] = {"name": name, "digest": {kind: given}, "digest_crc32c": crc32c(given)}
        if kind is None:
            request = {"name": name, "data": given, "data_crc32c": crc32c(given)}

        def intact(client: KeyManagementServiceClient) -> bytes:
            answer = client.asymmetric_sign(request=request, **_ONCE)
            signature: bytes = answer.signature
            received = answer.verified_digest_crc32c if kind else answer.verified_data_crc32c
            if not received or answer.name != name or crc32c(signature) != answer.signature_crc32c:
                raise BackendError(Reason.BACKEND_FAILED, _DAMAGED)
            return signature

        return self._call(intact)

    def _call(self, ask: Callable[[KeyManagementServiceClient], T]) -> T:
        def attempt() -> T:
            try:
                return ask(self._driver.get())
            except _TRANSIENT as error:
                raise _translated(error) from error

        try:
            return self._retrying.call(attempt)
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise _translated(error) from error


def _translated(error: Exception) -> BackendError:
    detail = type(error).__name__  # the text could hold what a proxy or a log should not
    if isinstance(error, exceptions.NotFound):
        return BackendError(Reason.BACKEND_KEY_MISSING, "the key backend does not have this key", detail=detail)
    if isinstance(error, exceptions.TooManyRequests):
        message = "Google Cloud KMS refuses more calls: the quota of the project is used up; sign less or raise it"
        return BackendError(Reason.BACKEND_THROTTLED, message, detail=detail)
    if isinstance(error, exceptions.PermissionDenied | exceptions.Unauthenticated | GoogleAuthError):
        message = "Google Cloud KMS lets this process not do that: check its credentials and its roles"
        return BackendError(Reason.BACKEND_FAILED, message, detail=detail)
    return BackendError(Reason.BACKEND_FAILED, "the call to Google Cloud KMS failed", detail=detail)
