"""Statements of the signing side, signed and kept until they change or grow old."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sealwright.clock import Clock
from sealwright.jose import strict_json
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.history import archived_keys, bundled_keys, revoked_keys
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.token_status import LIST_LIFETIME_S
from sealwright.keys.token_statuses import TokenStatuses
from sealwright.statements import historical_keys, status_list, trust_bundle
from sealwright.statements.revoked_keys import LIFETIME_S, TYP, feed_claims

ACTOR = "sealwright"
LIST_TTL_S = 60.0  # how long others may go by a status list without asking again


@dataclass(slots=True)
class SignedStatements:
    """The feed of revoked keys, the trust bundle, the archive and the status lists of each issuer, as compact JWS.

    The trust root signs them, except for status lists: whoever reads those knows the keys of the issuer alone.

    A statement is signed anew when the catalog has changed, and one that ends when half of its life is over. All raise
    what ``ManagedSigner.sign`` raises: nobody is served an old feed because the trust root cannot sign.
    """

    catalog: KeyCatalog
    trust_root: Callable[[], ManagedSigner]
    signer: Callable[[str], ManagedSigner]
    tokens: TokenStatuses
    issuer_url: Callable[[str], str]
    clock: Clock
    _kept: dict[tuple[str, str], tuple[int, float, str]] = field(default_factory=dict)
    _signing: dict[tuple[str, str], threading.Lock] = field(default_factory=dict)

    def revoked_keys(self, issuer: str) -> str:
        """The feed of one issuer."""

        def claims(version: int, now: float) -> dict[str, object]:
            revoked = revoked_keys(self.catalog.records(issuer), issuer)
            tokens = self.tokens.in_feed(issuer)
            return feed_claims(self.issuer_url(issuer), revoked, sequence=version, now=now, tokens=tokens)

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

    def status_list(self, issuer: str, list_id: int) -> str:
        """One status list of one issuer, for the numbers below LISTS; ``issuer`` is open."""

        def claims(_: int, now: float) -> dict[str, object]:
            uri, listed = self.status_list_url(issuer, list_id), self.tokens.listed(issuer, list_id)
            return status_list.statement_claims(uri, listed, now=now, lifetime_s=LIST_LIFETIME_S, ttl_s=LIST_TTL_S)

        name, typ, longest_s = f"status list {list_id}", status_list.TYP, LIST_LIFETIME_S / 2
        return self._current(name, typ, issuer, claims, longest_s, signer=self.signer(issuer))

    def status_list_url(self, issuer: str, list_id: int) -> str:
        """Where the list is, and what it calls itself."""
        return f"{self.issuer_url(issuer)}/status-lists/{list_id}"

    def _current(
        self,
        name: str,
        typ: str,
        issuer: str,
        claims: Callable[[int, float], dict[str, object]],
        longest_s: float | None,
        *,
        signer: ManagedSigner | None = None,
    ) -> str:
        asked = (name, issuer)
        if (kept := self._fresh(asked, longest_s)) is not None:
            return kept
        with self._signing.setdefault(asked, threading.Lock()):  # all who ask at once wait for one signature
            if (kept := self._fresh(asked, longest_s)) is not None:
                return kept
            version, at = self.catalog.version(), self.clock.monotonic()
            payload = strict_json.encode_object(claims(version, self.clock.now()))
            signed = (signer or self.trust_root()).sign(payload, typ=typ, actor=ACTOR)
            self._kept[asked] = (version, at, signed.token)
            return signed.token

    def _fresh(self, asked: tuple[str, str], longest_s: float | None) -> str | None:
        version, kept = self.catalog.version(), self._kept.get(asked)
        if kept is None or kept[0] != version:
            return None
        return kept[2] if longest_s is None or self.clock.monotonic() - kept[1] < longest_s else None
