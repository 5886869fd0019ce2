"""VaultSecrets: HMAC secrets in a key-value engine of version 2, one path each, written once and never changed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Self

from sealwright.errors import BackendError, Reason, RejectedError
from sealwright.jose.algorithms import SYMMETRIC
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.keys.backend import BackendSignature, PublicHalf, SecretFacts
from sealwright.keys.backend_uri import BackendUri, backend_setting
from sealwright.keys.backends.vault import rows
from sealwright.keys.backends.vault.connection import Connection
from sealwright.keys.backends.vault.place import is_path, place_of
from sealwright.keys.retrying import Retrying

_HANDLE = re.compile("[0-9a-f]{32}")
_FIRST = 1  # the only version of ours: what somebody writes over a secret is not the one that partners have


class VaultSecrets:
    """A SecretBackend in OpenBao or HashiCorp Vault. Nothing is kept in memory: a signature is one request."""

    name = "vaultkv"
    algorithms = SYMMETRIC

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._vault = connection
        self._prefix = prefix

    @classmethod
    def open(cls, uri: BackendUri, retrying: Retrying | None = None) -> Self:
        """``vaultkv://vault.example:8200/secret?token-source=file:/run/vault-token``.

        Raises ConfigurationError ``settings.backend``.
        """
        place, prefix = place_of(uri, "secret", "prefix"), uri.options.get("prefix", "sealwright")
        if not is_path(prefix):
            raise backend_setting("the option prefix is a path below the engine, such as sealwright")
        return cls(Connection(place, retrying or Retrying()), prefix)

    def generate(self, handle: str, algorithm: str) -> PublicHalf:
        if algorithm not in SYMMETRIC:
            raise BackendError(Reason.BACKEND_UNSUPPORTED, f"this store holds HMAC secrets, no {algorithm} keys")
        secret = SecretJWK.generate(algorithm).export_secret_dict()
        try:
            # With cas 0 the first one wins; the policy need not allow anybody to write over a secret.
            self._vault.ask("POST", f"data/{self._prefix}/{handle}", options={"cas": 0}, data=secret)
        except BackendError:
            found = self.find(handle)  # we before a crash, or somebody else
            if found is None:
                raise
            return found
        return _facts(self.reveal(handle))

    def find(self, handle: str) -> PublicHalf | None:
        secret = self._read(handle)
        return None if secret is None else _facts(secret)

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        return BackendSignature(self.reveal(handle).sign(signing_input))

    def reveal(self, handle: str) -> SecretJWK:
        secret = self._read(handle)
        if secret is None:
            raise BackendError(Reason.BACKEND_KEY_MISSING, "the key-value store does not have this secret")
        return secret

    def disable(self, handle: str) -> None:
        """Nothing is switched off here; the state in the record is what stops a retired secret."""

    def enable(self, handle: str) -> None:
        pass

    def destroy(self, handle: str) -> None:
        """Every version at once; the path is as if it had never been."""
        self._vault.existing("DELETE", f"metadata/{self._prefix}/{handle}")

    def handles(self) -> Iterable[str]:
        answer = self._vault.existing("LIST", f"metadata/{self._prefix}")
        return [] if answer is None else [name for name in rows.names(answer.data) if _HANDLE.fullmatch(name)]

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicHalf:  # noqa: ARG002
        raise BackendError(Reason.BACKEND_UNSUPPORTED, "the key-value store holds secrets that were made here only")

    def import_private(self, handle: str, key: PrivateJWK) -> PublicHalf:  # noqa: ARG002
        raise BackendError(Reason.BACKEND_UNSUPPORTED, "the key-value store holds HMAC secrets, no private keys")

    def close(self) -> None:
        self._vault.close()

    def _read(self, handle: str) -> SecretJWK | None:
        answer = self._vault.existing("GET", f"data/{self._prefix}/{handle}?version={_FIRST}")
        if answer is None:
            return None
        try:
            if answer.data["metadata"]["version"] != _FIRST:
                raise ValueError("another version")
            return SecretJWK.from_dict(answer.data["data"])
        except (KeyError, TypeError, ValueError, AttributeError, RejectedError) as error:
            message = "this is no secret of ours, or the engine is not of version 2: see docs/backends/vault.md"
            raise BackendError(Reason.BACKEND_FAILED, message, detail=type(error).__name__) from None


def _facts(secret: SecretJWK) -> SecretFacts:
    return SecretFacts(str(secret.key_id), secret.algorithm)
