"""SharedSecret: HMAC secrets, each known to exactly two parties."""

from __future__ import annotations

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.trust.key_source import VerificationKey


class SharedSecret:
    """A KeySource over one secret, or over several during a change of secrets; these need distinct kids.

    Raises ConfigurationError ``settings.invalid`` for none or for kids that do not tell them apart.
    """

    def __init__(self, *secrets: SecretJWK) -> None:
        self._by_id = {secret.key_id: secret for secret in secrets}
        if not secrets or len(self._by_id) != len(secrets) or (len(secrets) > 1 and None in self._by_id):
            raise ConfigurationError(Reason.SETTINGS_INVALID, "give at least one secret, and several distinct kids")
        self._only = secrets[0] if len(secrets) == 1 else None
        self.algorithms = frozenset(secret.algorithm.name for secret in secrets)

    def find(self, key_id: str | None) -> VerificationKey:
        found = self._by_id.get(key_id)
        if found is not None:
            return found
        if self._only is not None and (key_id is None or self._only.key_id is None):
            return self._only
        if key_id is None:
            raise RejectedError(Reason.KEY_ID_MISSING, "the token names no key and there are several to choose from")
        raise RejectedError(Reason.KEY_NOT_FOUND, "no key with the token's kid is known")

    async def afind(self, key_id: str | None) -> VerificationKey:
        return self.find(key_id)

    def known(self, key_id: str | None) -> VerificationKey:
        return self.find(key_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def close(self) -> None:
        """There is nothing to release."""
