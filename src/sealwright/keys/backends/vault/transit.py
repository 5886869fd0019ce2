"""VaultTransitBackend: each key is a transit key of one version, whose name holds its handle and its algorithm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from sealwright.errors import BackendError, Reason
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.keys.backend import BackendSignature
from sealwright.keys.backend_uri import BackendUri
from sealwright.keys.backends.vault import rows
from sealwright.keys.backends.vault.connection import Connection
from sealwright.keys.backends.vault.names import PREFIX, KeyName, first_name_of, is_key_name
from sealwright.keys.backends.vault.place import place_of
from sealwright.keys.retrying import Retrying

_PAGE_NAMES = 1000


@dataclass(frozen=True, slots=True)
class _Key:
    target: str  # the transit key that signs
    algorithm: str
    public: PublicJWK


class VaultTransitBackend:
    """A KeyBackend in one transit engine, of OpenBao or HashiCorp Vault.

    Public keys are kept in memory: a signature is one request.
    """

    name = "vault"
    algorithms = frozenset(rows.KEY_TYPES)

    def __init__(self, connection: Connection) -> None:
        self._vault = connection
        self._keys: dict[str, _Key] = {}

    @classmethod
    def open(cls, uri: BackendUri, retrying: Retrying | None = None) -> Self:
        """``vault://vault.example:8200/transit?token-source=file:/run/vault-token``.

        Raises ConfigurationError ``settings.backend``.
        """
        return cls(Connection(place_of(uri, "transit"), retrying or Retrying()))

    def generate(self, handle: str, algorithm: str) -> PublicJWK:
        if algorithm not in rows.KEY_TYPES:
            raise BackendError(Reason.BACKEND_UNSUPPORTED, f"Vault makes no {algorithm} keys")
        name = self._located(handle)
        if name is None:
            name = KeyName(handle, algorithm)
            # A key of this name that is there already stays as it is: repeating is safe, also at the same time.
            self._vault.ask("POST", f"keys/{name}", type=rows.KEY_TYPES[algorithm])
        return _held(self._load(handle, name)).public

    def find(self, handle: str) -> PublicJWK | None:
        key = self._load(handle, self._located(handle))
        return key.public if key else None

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        key = self._keys.get(handle) or _held(self._load(handle, self._located(handle)))
        path, body = rows.sign_request(key.target, key.algorithm, signing_input)
        try:
            answer = self._vault.ask("POST", path, **body)
        except BackendError as failure:
            raise self._explained(key, failure) from failure.__cause__
        return BackendSignature(rows.signature(answer.data), answer.request_id)

    def disable(self, handle: str) -> None:
        """Soft-deletes the key in OpenBao. HashiCorp Vault has no switch: there it goes on signing."""
        self._switch("DELETE", handle, "soft-delete")

    def enable(self, handle: str) -> None:
        self._switch("POST", handle, "soft-delete-restore")

    def destroy(self, handle: str) -> None:
        name = self._located(handle)
        if name is not None:
            for one in dict.fromkeys((name.target, str(name))):  # the pointer of an adopted key goes last
                self._delete(one)
        self._keys.pop(handle, None)

    def handles(self) -> Iterable[str]:
        return {name.handle for name in self._names()}

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicJWK:
        """``reference`` is the name of a transit key of one version.

        Transit has neither aliases nor metadata, so an otherwise unused key remembers the adoption with its name.
        """
        found = self._read(reference) if is_key_name(reference) else None
        if found is None:
            raise _missing()
        if not rows.fits(found, algorithm) or any(
            name.target == reference and name.handle != handle for name in self._names()
        ):
            message = "this key does not sign with this algorithm, was rotated, or belongs to another handle already"
            raise BackendError(Reason.BACKEND_UNSUPPORTED, message)
        name = KeyName(handle, algorithm, reference)
        if self._located(handle) not in (None, name):
            raise BackendError(Reason.BACKEND_FAILED, "this handle already means another key in Vault")
        self._vault.ask("POST", f"keys/{name}", type=rows.POINTER_TYPE)
        return _held(self._load(handle, name)).public

    def import_private(self, handle: str, key: PrivateJWK) -> PublicJWK:  # noqa: ARG002
        """Raises BackendError ``backend.unsupported``."""
        raise BackendError(Reason.BACKEND_UNSUPPORTED, "keys are made inside of Vault and not put in: keys create")

    def close(self) -> None:
        self._keys.clear()
        self._vault.close()

    def _load(self, handle: str, name: KeyName | None) -> _Key | None:
        found = self._read(name.target) if name else None
        if found is None or name is None:
            self._keys.pop(handle, None)
            return None
        key = self._keys[handle] = _Key(name.target, name.algorithm, rows.public_key(found, name.algorithm))
        return key

    def _read(self, target: str) -> dict[str, Any] | None:
        answer = self._vault.existing("GET", f"keys/{target}")
        return None if answer is None else answer.data

    def _explained(self, key: _Key, failure: BackendError) -> BackendError:
        """Vault has one status for many mishaps of a signature; the key itself tells what the matter is."""
        if failure.detail not in ("HTTP 400", "HTTP 404", "HTTP 500"):
            return failure
        found = self._read(key.target)
        if found is None:
            return _missing()
        if found.get("soft_deleted"):
            return BackendError(Reason.BACKEND_KEY_DISABLED, "this key is soft-deleted in Vault: restore it")
        return failure

    def _switch(self, method: str, handle: str, verb: str) -> None:
        name = self._located(handle)
        if name is None:
            return
        try:
            self._vault.existing(method, f"keys/{name.target}/{verb}")
        except BackendError as error:
            if error.detail not in ("HTTP 404", "HTTP 405"):  # HashiCorp Vault does not know these paths
                raise

    def _delete(self, target: str) -> None:
        try:
            self._vault.ask("POST", f"keys/{target}/config", deletion_allowed=True)
            self._vault.ask("DELETE", f"keys/{target}")
        except BackendError:
            if self._read(target) is not None:  # else it was gone already, or somebody else was faster
                raise

    def _located(self, handle: str) -> KeyName | None:
        return first_name_of(handle, self._page(f"{PREFIX}{handle}", 1))

    def _names(self) -> Iterator[KeyName]:
        after = PREFIX
        while page := self._page(after, _PAGE_NAMES):
            yield from filter(None, map(KeyName.parse, page))
            if len(page) != _PAGE_NAMES or not page[-1].startswith(PREFIX) or page[-1] <= after:
                return
            after = page[-1]

    def _page(self, after: str, limit: int) -> list[str]:
        """Names of transit keys in order. HashiCorp Vault overlooks both parameters and answers with all of them."""
        answer = self._vault.existing("LIST", f"keys?after={after}&limit={limit}")
        return [] if answer is None else rows.names(answer.data)


def _held(key: _Key | None) -> _Key:
    if key is None:
        raise _missing()
    return key


def _missing() -> BackendError:
    return BackendError(Reason.BACKEND_KEY_MISSING, "Vault does not have this key")
