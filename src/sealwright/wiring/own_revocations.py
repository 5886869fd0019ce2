"""OwnRevocations: the RevocationList of our own issuers: what the catalog says now, with no cache in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sealwright.errors import Reason, RejectedError
from sealwright.keys.token_statuses import TokenStatuses
from sealwright.statements.status_list import INVALID, SUSPENDED
from sealwright.trust.revocation import RevocationList
from sealwright.wiring.publishing import Publications


@dataclass(frozen=True, slots=True)
class OwnRevocations:
    """Knows the issuers below ``base_url``, and says nothing about others."""

    publications: Publications
    tokens: TokenStatuses
    base_url: str

    def key_revoked(self, issuer: str, key_id: str) -> bool:
        name = self._name(issuer)
        return name is not None and key_id in self.publications.issuer(name).revoked

    def token_revoked(self, issuer: str, token_id: str) -> bool:
        """Raises RejectedError ``token.suspended`` for one that may come back."""
        name = self._name(issuer)
        status = None if name is None else self.tokens.status(name, token_id)
        if status == SUSPENDED:
            raise RejectedError(Reason.TOKEN_SUSPENDED, "the token has been suspended")
        return status == INVALID

    @property
    def of_keys(self) -> RevocationList:
        """The same without single tokens."""
        return _OfKeys(self.key_revoked)

    def _name(self, issuer: str) -> str | None:
        prefix, _, name = issuer.rpartition("/")
        return name if prefix == self.base_url and name in self.publications.issuers() else None


@dataclass(frozen=True, slots=True)
class _OfKeys:
    revoked: Callable[[str, str], bool]

    def key_revoked(self, issuer: str, key_id: str) -> bool:
        return self.revoked(issuer, key_id)

    def token_revoked(self, issuer: str, token_id: str) -> bool:  # noqa: ARG002
        return False
