"""TokenStatus: what is remembered about one token until it has expired, never the token."""

from __future__ import annotations

from dataclasses import dataclass

from sealwright.jose.claims import MAXIMUM_LEEWAY_S
from sealwright.statements.status_list import INVALID, SUSPENDED, VALID

LISTS = 8  # of one issuer; the next one is begun where the ones before have no place to spare
LIST_LIFETIME_S = 300.0  # how long a published status list may be believed
NAMES = {VALID: "valid", INVALID: "revoked", SUSPENDED: "suspended"}


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """``digest`` is the feed's name of its "jti"; ``expires_at`` in seconds since the epoch.

    A token that was issued with a status has its ``place`` in list number ``list_id`` of its issuer.
    """

    issuer: str
    digest: str
    status: int
    expires_at: float
    list_id: int | None = None
    place: int | None = None

    def is_over(self, now: float) -> bool:
        """Whether nobody accepts the token any more, whatever their leeway."""
        return now >= self.expires_at + MAXIMUM_LEEWAY_S

    @property
    def forgotten_at(self) -> float:
        """When its place may be another token's: when every list that was published for this one has ended."""
        return self.expires_at + MAXIMUM_LEEWAY_S + LIST_LIFETIME_S
