"""What this process reports of itself with each poll: what it enforces, which keys it would accept and did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sealwright.jose.jwk_set import JWKSet
from sealwright.statements.verifier_reports import MOST_ISSUERS, MOST_KEYS, IssuerReport, Tried, VerifierReport
from sealwright.trust.acceptance import Acceptance
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.key_source import ReportingSource
from sealwright.trust.revocation import FeedStatus
from sealwright.trust.revocation_feeds import RevocationFeeds

_LONGEST_ID = 500
MOST_BYTES = 48 * 1024  # of what is said of all issuers: a poll has its limit


@runtime_checkable
class HoldsKeys(Protocol):
    """A key source that can say which keys it holds."""

    def held(self) -> JWKSet: ...


@dataclass(frozen=True, slots=True)
class Reporting:
    """Reads what others hold. ``name`` is that of the verifier, ``instance`` that of this process."""

    name: str
    instance: str
    issuers: tuple[TrustedIssuer, ...]
    feeds: RevocationFeeds
    acceptance: Acceptance

    def report(self, tried: Mapping[str, Tried]) -> VerifierReport:
        """With fewer keys of each issuer, the latest in their sets left out, where all of them would be too many."""
        most = MOST_KEYS
        found = self._issuers(most)
        while most > 1 and sum(len(json.dumps(one.to_dict())) for one in found.values()) > MOST_BYTES:
            most //= 2
            found = self._issuers(most)
        return VerifierReport(self.name, self.instance, found, tried)

    def _issuers(self, most: int) -> dict[str, IssuerReport]:
        statuses = self.feeds.status()
        named = [one for one in self.issuers if isinstance(one.policy.issuer, str)][:MOST_ISSUERS]
        return {str(one.policy.issuer): self._issuer(one, statuses.get(str(one.policy.issuer)), most) for one in named}

    def _issuer(self, one: TrustedIssuer, feed: FeedStatus | None, most: int) -> IssuerReport:
        return IssuerReport(
            sequence=feed.sequence if feed else None,
            feed_age_s=feed.age_s if feed else None,
            keys_age_s=one.source.status().age_s if isinstance(one.source, ReportingSource) else None,
            keys=self.acceptance.of(one.policy.name, self._key_ids(one, most)),
        )

    def _key_ids(self, one: TrustedIssuer, most: int) -> list[str]:
        """Every kid that it would accept, as far as a report has room for it."""
        if not isinstance(one.source, HoldsKeys):
            return []
        revoked = self.feeds.revoked(str(one.policy.issuer))
        keys = (key for key in one.source.held().bound_to(one.policy.algorithms) if "revoked" not in key.members)
        named = (key.key_id for key in keys if key.key_id is not None and key.key_id not in revoked)
        return [key_id for key_id in named if 0 < len(key_id) <= _LONGEST_ID and key_id.isprintable()][:most]
