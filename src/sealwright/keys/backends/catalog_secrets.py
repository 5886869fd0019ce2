"""HMAC secrets in the catalog, each sealed under the key-encryption key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from sealwright.clock import Clock
from sealwright.errors import BackendError, Reason, RefusedError, RejectedError
from sealwright.jose import base64url, strict_json
from sealwright.jose.algorithms import SYMMETRIC
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.keys.audit import AuditEntry
from sealwright.keys.backend import BackendSignature, PublicHalf, SecretFacts
from sealwright.keys.catalog import Document, KeyCatalog, Put, Remove
from sealwright.keys.sealing import Sealer, SealError

KIND = "secret"
_ACTOR = "sealwright"


class CatalogSecrets:
    """A SecretBackend: whoever shares the catalog and the key-encryption key can sign."""

    name = "catalog"
    algorithms = SYMMETRIC

    def __init__(self, catalog: KeyCatalog, sealer: Sealer, clock: Clock) -> None:
        self._catalog = catalog
        self._sealer = sealer
        self._clock = clock

    def generate(self, handle: str, algorithm: str) -> PublicHalf:
        secret = SecretJWK.generate(algorithm)
        with suppress(RefusedError):  # the handle has one already
            self._write("secret.made", Put(self._sealed(handle, secret, 1)))
        return _facts(self.reveal(handle))

    def find(self, handle: str) -> PublicHalf | None:
        document = self._catalog.document(KIND, handle)
        return None if document is None else _facts(self._opened(document))

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        return BackendSignature(self.reveal(handle).sign(signing_input))

    def reveal(self, handle: str) -> SecretJWK:
        document = self._catalog.document(KIND, handle)
        if document is None:
            raise BackendError(Reason.BACKEND_KEY_MISSING, "the catalog does not have this secret")
        return self._opened(document)

    def disable(self, handle: str) -> None:
        """A document has no switch; the state in the record is what stops a retired secret."""

    def enable(self, handle: str) -> None:
        pass

    def destroy(self, handle: str) -> None:
        document = self._catalog.document(KIND, handle)
        if document is not None:
            self._write("secret.destroyed", Remove(document))

    def handles(self) -> Iterable[str]:
        return list(self._catalog.documents(KIND))

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicHalf:  # noqa: ARG002
        raise BackendError(Reason.BACKEND_UNSUPPORTED, "the catalog holds secrets that were made here only")

    def import_private(self, handle: str, key: PrivateJWK) -> PublicHalf:  # noqa: ARG002
        raise BackendError(Reason.BACKEND_UNSUPPORTED, "the catalog holds HMAC secrets, no private keys")

    def close(self) -> None:
        pass

    def reseal(self) -> int:
        """Seal under the newest key-encryption key what an older one sealed; how many secrets that were."""
        old = [
            document
            for document in self._catalog.documents(KIND).values()
            if not self._sealer.is_current(_sealed_bytes(document), document.name)
        ]
        for document in old:
            again = self._sealed(document.name, self._opened(document), document.generation + 1)
            self._write("secret.resealed", Put(again))
        return len(old)

    def _sealed(self, handle: str, secret: SecretJWK, generation: int) -> Document:
        sealed = self._sealer.seal(strict_json.encode_object(secret.export_secret_dict()), handle)
        return Document(KIND, handle, {"sealed": base64url.encode_text(sealed)}, generation)

    def _opened(self, document: Document) -> SecretJWK:
        try:
            return SecretJWK.from_dict(_members(self._sealer.unseal(_sealed_bytes(document), document.name)))
        except (SealError, RejectedError) as error:
            raise BackendError(Reason.BACKEND_FAILED, "the secret in the catalog cannot be opened") from error

    def _write(self, action: str, change: Put | Remove) -> None:
        facts = {"handle": change.document.name}
        self._catalog.commit([change], AuditEntry(self._clock.now(), _ACTOR, action, "", None, "", facts))


def _members(data: bytes) -> Mapping[str, Any]:
    return strict_json.parse_object(data)


def _sealed_bytes(document: Document) -> bytes:
    return base64url.decode_text(str(document.body["sealed"]))


def _facts(secret: SecretJWK) -> SecretFacts:
    return SecretFacts(str(secret.key_id), secret.algorithm)
