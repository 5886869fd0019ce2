"""HeldBundle: the trust bundle of one issuer that counts now, and the rules by which a newer one replaces it."""

from __future__ import annotations

from sealwright.clock import Clock
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.statements.trust_bundle import TYP, TrustBundle, parse_bundle
from sealwright.trust.state_file import Remembered, StateFile
from sealwright.trust.statement_reader import Taken
from sealwright.trust.trust_root import TrustRoot


class HeldBundle:
    """``take`` is for one thread at a time; the rest takes no lock and does no I/O.

    The time that bundles and keys are held against is never before the latest "iat" of a bundle that was seen here, so
    a clock that was set back revives nothing.
    """

    def __init__(self, issuer: str, root: TrustRoot, state: StateFile, *, clock: Clock) -> None:
        self._issuer, self._root, self._state, self._clock = issuer, root, state, clock
        self._floor = state.read()
        self._bundle: TrustBundle | None = None

    def take(self, body: bytes | None) -> Taken:
        """Obey a bundle as it came; None confirms the one that is held. Raises RejectedError or UnavailableError."""
        before = self._bundle
        if body is None and before is not None:
            return Taken(False, before.sequence, len(before.keys), before.refresh_hint_s)
        bundle = self._verified(body or b"")
        changed = before is None or bundle.sequence != before.sequence
        # Equal to what is held, or the same state signed once more.
        if before is not None and not changed and set(before.keys) != set(bundle.keys):
            raise _rolled_back()
        kept = self._state.keep(Remembered(bundle.sequence, frozenset(), bundle.issued_at))
        self._floor = kept
        if kept.sequence > bundle.sequence:
            raise _rolled_back()  # another worker has seen a newer one
        if before is None or changed or bundle.issued_at > before.issued_at:
            self._bundle = bundle
        return Taken(changed, bundle.sequence, len(bundle.keys), bundle.refresh_hint_s)

    def find(self, key_id: str | None) -> PublicJWK:
        """Raises as ``KeySource`` says; UnavailableError ``source.unavailable`` without a bundle that still counts."""
        bundle, now = self._bundle, self.trusted_now()
        if bundle is None:
            raise UnavailableError(Reason.SOURCE_UNAVAILABLE, "there is no trust bundle of this issuer yet")
        if now >= bundle.expires_at:
            raise UnavailableError(Reason.SOURCE_UNAVAILABLE, "the trust bundle of this issuer has come to its end")
        key = bundle.keys.find(key_id)
        key.check_usable(now)
        return key

    def trusted_now(self) -> float:
        """Seconds since the epoch; a bundle cannot have been signed in the future."""
        return max(self._clock.now(), self._floor.issued_at)

    @property
    def is_held(self) -> bool:
        return self._bundle is not None

    def is_usable(self) -> bool:
        return self._bundle is not None and self.trusted_now() < self._bundle.expires_at

    @property
    def keys(self) -> JWKSet:
        return JWKSet() if self._bundle is None else self._bundle.keys

    @property
    def sequence(self) -> int | None:
        return None if self._bundle is None else self._bundle.sequence

    def _verified(self, body: bytes) -> TrustBundle:
        bundle = parse_bundle(self._root.claims_of(body, TYP))
        if bundle.issuer != self._issuer or bundle.subject != self._issuer:
            raise RejectedError(Reason.CLAIMS_ISSUER, "the bundle is about another issuer")
        if self.trusted_now() >= bundle.expires_at:
            raise RejectedError(Reason.CLAIMS_EXPIRED, "the bundle has come to its end")
        if bundle.sequence < self._floor.sequence:
            raise _rolled_back()
        return bundle


def _rolled_back() -> RejectedError:
    return RejectedError(Reason.STATEMENT_ROLLED_BACK, "the bundle is older than one that was seen before")
