"""Pipeline: the steps from a token to a Verified, in the order that keeps each one safe.

1 limits and shape      4 revoked key       7 claims
2 configured issuer     5 its key           8 scopes
3 algorithm and type    6 signature

Only step 5 may wait; whoever drives the pipeline finds the key, blocking or not.
"""

from __future__ import annotations

from dataclasses import dataclass

from sealwright.clock import Clock
from sealwright.errors import Reason, RejectedError
from sealwright.jose import compact
from sealwright.jose.claims import check_scopes
from sealwright.jose.compact import UnverifiedJWS
from sealwright.jose.jwk import PublicJWK, SecretJWK
from sealwright.jose.verification import verify_with_key
from sealwright.trust.decision import Verified
from sealwright.trust.issuers import Issuers, TrustedIssuer
from sealwright.trust.key_source import VerificationKey
from sealwright.trust.revocation import RevocationList


@dataclass(slots=True)
class Trail:
    """How far one token has come: what its event may say about it."""

    began: float = 0.0
    issuer: TrustedIssuer | None = None
    key: VerificationKey | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stateless; ``before_key`` and ``after_key`` are its two halves. Both raise RejectedError or UnavailableError."""

    issuers: Issuers
    revocation: RevocationList | None
    clock: Clock

    def before_key(self, token: str | bytes, trail: Trail) -> tuple[TrustedIssuer, UnverifiedJWS]:
        unverified = compact.parse(_text(token), max_bytes=self.issuers.maximum_token_bytes)  # 1
        issuer = trail.issuer = self.issuers.match(unverified)  # 2
        _check_size(token, issuer)  # 1 again, with the issuer's own limit
        issuer.check_header(unverified.header)  # 3
        self._check_revoked(issuer, unverified.header.key_id)  # 4
        return issuer, unverified

    def after_key(
        self,
        issuer: TrustedIssuer,
        unverified: UnverifiedJWS,
        key: VerificationKey,
        trail: Trail,
        scopes: frozenset[str],
    ) -> Verified:
        if not isinstance(key, PublicJWK | SecretJWK):
            raise TypeError("a key source answered with something that is no verification key")
        trail.key = key
        if unverified.header.key_id is None:
            self._check_revoked(issuer, key.key_id)  # 4, for a token that named no key
        trail.key = bound = issuer.bind(key)  # 5
        if isinstance(bound, PublicJWK) and bound.has_limits:
            bound.check_usable(self.clock.now())
        claims = verify_with_key(unverified, bound).json()  # 6
        issuer.policy.rules.check(claims, self.clock.now())  # 7
        check_scopes(claims, scopes)  # 8
        return Verified(issuer.name_in(claims), bound.key_id, _name(bound), claims)

    def _check_revoked(self, issuer: TrustedIssuer, key_id: str | None) -> None:
        named = issuer.policy.issuer
        if self.revocation is None or key_id is None or not isinstance(named, str):
            return
        if self.revocation.key_revoked(named, key_id):
            raise RejectedError(Reason.KEY_REVOKED, "the token's key has been revoked")


def _text(token: object) -> str | bytes:
    if token is None or isinstance(token, str | bytes):
        return token or ""
    raise RejectedError(Reason.TOKEN_MALFORMED, "a token is text or bytes")


def _check_size(token: str | bytes, issuer: TrustedIssuer) -> None:
    if len(token) > issuer.policy.maximum_token_bytes:
        raise RejectedError(Reason.TOKEN_TOO_LARGE, "the token is larger than its issuer's tokens may be")


def _name(key: VerificationKey) -> str:
    return key.algorithm.name if key.algorithm is not None else "unknown"
