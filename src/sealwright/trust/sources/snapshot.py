"""SnapshotKeys: the live key set of this very process, asked anew at each find."""

from __future__ import annotations

from collections.abc import Callable

from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.key_source import VerificationKey


class SnapshotKeys:
    """A KeySource over a function that returns the current set at once: a change counts with the next token."""

    def __init__(self, read: Callable[[], JWKSet]) -> None:
        self._read = read

    def find(self, key_id: str | None) -> VerificationKey:
        return self._read().find(key_id)

    async def afind(self, key_id: str | None) -> VerificationKey:
        return self.find(key_id)

    def known(self, key_id: str | None) -> VerificationKey:
        return self.find(key_id)

    def close(self) -> None:
        """There is nothing to release."""
