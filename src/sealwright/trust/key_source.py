"""KeySource protocol: who knows the public keys of one issuer."""

from __future__ import annotations

from typing import Protocol

from sealwright.jose.jwk import PublicJWK
from sealwright.jose.secret_jwk import SecretJWK

VerificationKey = PublicJWK | SecretJWK


class KeySource(Protocol):
    """Finds one key by kid.

    Raises RejectedError ``key.not_found``, ``key.id_missing`` or ``key.ambiguous``, and UnavailableError
    ``source.unavailable`` when it cannot know. It never answers with another key than the one named.
    """

    def find(self, key_id: str | None) -> VerificationKey: ...

    async def afind(self, key_id: str | None) -> VerificationKey: ...

    def close(self) -> None: ...
