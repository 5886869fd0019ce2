"""What this process reports of itself with each poll: what it enforces, which keys it would accept and did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sealwright.jose.jwk_set import JWKSet
from sealwright.statements.verifier_reports import MOST_ISSUERS, MOST_KEYS, IssuerReport, Tried, VerifierReport
from sealwright.trust.acceptance import Acceptance
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.jwks_cache import SourceStatus
from sealwright.trust.revocation_feeds import RevocationFeeds

_LONGEST_ID = 500


@runtime_checkable
class HoldsKeys(Protocol):
    """A key source that can say which keys it holds."""

    def held(self) -> JWKSet: ...


@runtime_checkable
class HasAge(Protocol):
    """A key source that can say how long ago it fetched."""

    def status(self) -> SourceStatus: ...


@dataclass(frozen=True, slots=True)
class Reporting:
    """Reads what others hold. ``name`` is that of the verifier, ``instance`` that of this process."""

    name: str
    instance: str
    issuers: tuple[TrustedIssuer, ...]
    feeds: RevocationFeeds
    acceptance: Acceptance

    def report(self, tried: Mapping[str, Tried]) -> VerifierReport:
        statuses = self.feeds.status()
        named = [one for one in self.issuers if isinstance(one.policy.issuer, str)][:MOST_ISSUERS]
        found = {}
        for one in named:
            issuer = str(one.policy.issuer)
            feed = statuses.get(issuer)
            found[issuer] = IssuerReport(
                sequence=feed.sequence if feed else None,
                feed_age_s=feed.age_s if feed else None,
                keys_age_s=one.source.status().age_s if isinstance(one.source, HasAge) else None,
                keys=self.acceptance.of(one.policy.name, self._key_ids(one, issuer)),
            )
        return VerifierReport(self.name, self.instance, found, tried)

    def _key_ids(self, one: TrustedIssuer, issuer: str) -> frozenset[str]:
        """Every kid that it would accept, as far as a report has room for it."""
        if not isinstance(one.source, HoldsKeys):
            return frozenset()
        keys = one.source.held().bound_to(one.policy.algorithms)
        named = (key.key_id for key in keys if key.key_id is not None and "revoked" not in key.members)
        fit = [key_id for key_id in named if 0 < len(key_id) <= _LONGEST_ID and key_id.isprintable()]
        return frozenset(fit[:MOST_KEYS]) - self.feeds.revoked(issuer)
