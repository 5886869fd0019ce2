"""StaticKeys: public keys that were handed over and never change."""

from __future__ import annotations

from sealwright.jose.jwk import PublicJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.key_source import VerificationKey


class StaticKeys:
    """A KeySource over a fixed set, or over one key. Raises RejectedError ``key.*``."""

    def __init__(self, keys: JWKSet | PublicJWK) -> None:
        self.keys = keys if isinstance(keys, JWKSet) else JWKSet([keys])
        self._nameless = self._only_nameless_key()

    def find(self, key_id: str | None) -> VerificationKey:
        return self._nameless or self.keys.find(key_id)

    async def afind(self, key_id: str | None) -> VerificationKey:
        return self.find(key_id)

    def known(self, key_id: str | None) -> VerificationKey:
        return self.find(key_id)

    def __len__(self) -> int:
        return len(self.keys)

    def held(self) -> JWKSet:
        return self.keys

    def close(self) -> None:
        """There is nothing to release."""

    def _only_nameless_key(self) -> PublicJWK | None:
        """A single key that has no kid of its own answers to any: it cannot be confused with another."""
        return self.keys.keys[0] if len(self.keys) == 1 and self.keys.keys[0].key_id is None else None
