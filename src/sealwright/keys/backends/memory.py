"""Private keys in memory: for tests, rehearsals and throw-away processes."""

from __future__ import annotations

from collections.abc import Iterable

from sealwright.errors import BackendError, Reason
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.keys.backend import BackendSignature


class MemoryBackend:
    """A KeyBackend that forgets everything with its process. What it can adopt are its own keys, by their handles."""

    name = "memory"
    algorithms = ASYMMETRIC

    def __init__(self) -> None:
        self._keys: dict[str, PrivateJWK] = {}
        self._disabled: set[str] = set()

    def generate(self, handle: str, algorithm: str) -> PublicJWK:
        return self._keys.setdefault(handle, PrivateJWK.generate(algorithm)).public

    def find(self, handle: str) -> PublicJWK | None:
        key = self._keys.get(handle)
        return key.public if key else None

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        key = self._held(handle)
        if handle in self._disabled:
            raise BackendError(Reason.BACKEND_KEY_DISABLED, "this key is switched off at its backend")
        return BackendSignature(key.sign(signing_input))

    def disable(self, handle: str) -> None:
        self._disabled.add(handle)

    def enable(self, handle: str) -> None:
        self._disabled.discard(handle)

    def destroy(self, handle: str) -> None:
        self._keys.pop(handle, None)

    def handles(self) -> Iterable[str]:
        return list(self._keys)

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicJWK:
        key = self._held(reference)
        if key.algorithm.name != algorithm:
            raise BackendError(Reason.BACKEND_UNSUPPORTED, "the key is for another algorithm")
        return self._keys.setdefault(handle, key).public

    def import_private(self, handle: str, key: PrivateJWK) -> PublicJWK:
        return self._keys.setdefault(handle, key).public

    def close(self) -> None:
        pass

    def _held(self, handle: str) -> PrivateJWK:
        key = self._keys.get(handle)
        if key is None:
            raise BackendError(Reason.BACKEND_KEY_MISSING, "the key backend does not have this key")
        return key
