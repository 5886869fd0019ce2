"""Statements of the signing side, signed by the trust root and kept until they change or grow old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sealwright.clock import Clock
from sealwright.jose import strict_json
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.history import archived_keys, bundled_keys, revoked_keys
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.statements import historical_keys, trust_bundle
from sealwright.statements.revoked_keys import LIFETIME_S, TYP, feed_claims

ACTOR = "sealwright"


@dataclass(slots=True)
class SignedStatements:
    """The feed of revoked keys, the trust bundle and the archive of each issuer, as compact JWS.

    A statement is signed anew when the catalog has changed, and one that ends when half of its life is over. All raise
    what ``ManagedSigner.sign`` raises: nobody is served an old feed because the trust root cannot sign.
    """

    catalog: KeyCatalog
    trust_root: Callable[[], ManagedSigner]
    issuer_url: Callable[[str], str]
    clock: Clock
    _kept: dict[tuple[str, str], tuple[int, float, str]] = field(default_factory=dict)

    def revoked_keys(self, issuer: str) -> str:
        """The feed of one issuer."""

        def claims(version: int, now: float) -> dict[str, object]:
            revoked = revoked_keys(self.catalog.records(issuer), issuer)
            return feed_claims(self.issuer_url(issuer), revoked, sequence=version, now=now)

        return self._current("feed", TYP, issuer, claims, LIFETIME_S / 2)

    def trust_bundle(self, issuer: str) -> str:
        """The keys of one issuer, for verifiers that are not always online."""

        def claims(version: int, now: float) -> dict[str, object]:
            keys = bundled_keys(self.catalog.records(issuer), issuer)
            return trust_bundle.bundle_claims(self.issuer_url(issuer), keys, sequence=version, now=now)

        return self._current("bundle", trust_bundle.TYP, issuer, claims, trust_bundle.LIFETIME_S / 2)

    def historical_keys(self, issuer: str) -> str:
        """The archive of one issuer."""

        def claims(version: int, now: float) -> dict[str, object]:
            keys = archived_keys(self.catalog.records(issuer), issuer)
            return historical_keys.archive_claims(self.issuer_url(issuer), keys, sequence=version, now=now)

        return self._current("archive", historical_keys.TYP, issuer, claims, None)

    def _current(
        self,
        name: str,
        typ: str,
        issuer: str,
        claims: Callable[[int, float], dict[str, object]],
        longest_s: float | None,
    ) -> str:
        version, now = self.catalog.version(), self.clock.monotonic()
        kept = self._kept.get((name, issuer))
        if kept is not None and kept[0] == version and (longest_s is None or now - kept[1] < longest_s):
            return kept[2]
        payload = strict_json.encode_object(claims(version, self.clock.now()))
        signed = self.trust_root().sign(payload, typ=typ, actor=ACTOR)
        self._kept[name, issuer] = (version, now, signed.token)
        return signed.token
