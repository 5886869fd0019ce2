"""Private keys in memory: for tests, rehearsals and throw-away processes."""

from __future__ import annotations

from sealwright.errors import BackendError, Reason
from sealwright.jose.jwk import PrivateJWK, PublicJWK


class MemoryBackend:
    """A KeyBackend that forgets everything with its process."""

    name = "memory"

    def __init__(self) -> None:
        self._keys: dict[str, PrivateJWK] = {}

    def generate(self, handle: str, algorithm: str) -> PublicJWK:
        return self._keys.setdefault(handle, PrivateJWK.generate(algorithm)).public

    def find(self, handle: str) -> PublicJWK | None:
        key = self._keys.get(handle)
        return key.public if key else None

    def sign(self, handle: str, signing_input: bytes) -> bytes:
        key = self._keys.get(handle)
        if key is None:
            raise BackendError(Reason.BACKEND_KEY_MISSING, "the key backend does not have this key")
        return key.sign(signing_input)

    def destroy(self, handle: str) -> None:
        self._keys.pop(handle, None)
