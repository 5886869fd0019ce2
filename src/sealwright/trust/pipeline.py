"""Pipeline: the steps from a token to a Verified, in the order that keeps each one safe.

1 limits and shape      4 revoked key       7 claims
2 configured issuer     5 its key           8 scopes
3 algorithm and type    6 signature

Only the key of step 5 may have to be waited for, so ``before_key`` and ``after_key`` are two halves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sealwright.clock import Clock
from sealwright.errors import Reason, RejectedError
from sealwright.jose import compact
from sealwright.jose.claims import check_scopes
from sealwright.jose.compact import UnverifiedJWS
from sealwright.jose.header import Header
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.jose.verification import check_signature
from sealwright.trust.decision import Verified
from sealwright.trust.issuers import Issuers, TrustedIssuer
from sealwright.trust.key_source import VerificationKey
from sealwright.trust.revocation import RevocationList

_TOKEN_TYPES, _KEY_TYPES = (str, bytes), (PublicJWK, SecretJWK)


@dataclass(slots=True)
class Trail:
    """How far one token has come: what its event may say about it."""

    began: float = 0.0
    issuer: TrustedIssuer | None = None
    key: VerificationKey | None = None


class Unproven(NamedTuple):
    """A token between the two halves: whose it says that it is, and nothing proven."""

    issuer: TrustedIssuer
    header: Header
    token: UnverifiedJWS
    claims: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stateless. Everything here raises RejectedError or UnavailableError."""

    issuers: Issuers
    revocation: RevocationList | None
    clock: Clock

    def verify(self, token: str | bytes, scopes: frozenset[str], trail: Trail | None = None) -> Verified:
        seen = self.before_key(token, trail)
        return self.after_key(seen, seen.issuer.source.find(seen.header.key_id), scopes, trail)

    def before_key(self, token: str | bytes, trail: Trail | None) -> Unproven:
        unverified = self.parse(token)  # 1
        header = unverified.header
        claims = unverified.unverified_claims()
        issuer = self.issuers.match(claims)  # 2
        if trail is not None:
            trail.issuer = issuer
        issuer.check_size(token)  # 1 again, with the issuer's own limit
        issuer.check_header(header)  # 3
        self.check_revoked(issuer, header.key_id)  # 4
        return Unproven(issuer, header, unverified, claims)

    def after_key(self, seen: Unproven, key: VerificationKey, scopes: frozenset[str], trail: Trail | None) -> Verified:
        issuer, header, unverified, claims = seen
        if not isinstance(key, _KEY_TYPES):
            raise TypeError("a key source answered with something that is no verification key")
        if trail is not None:
            trail.key = key
        bound = issuer.bind(key)  # 5
        if trail is not None:
            trail.key = bound
        if header.key_id is None:
            self.check_revoked(issuer, key.key_id)  # 4, for a token that named no key
        if bound.has_limits:
            bound.check_usable(self.clock.now())
        check_signature(unverified, bound)  # 6; the claims are its signer's from here on
        issuer.policy.rules.check(claims, self.clock.now())  # 7
        if scopes:
            check_scopes(claims, scopes)  # 8
        return Verified(issuer.name_in(claims), bound.key_id, _name(bound), claims)

    def parse(self, token: str | bytes) -> UnverifiedJWS:
        if not isinstance(token, _TOKEN_TYPES):
            token = _blank(token)
        unverified = compact.parse(token, max_bytes=self.issuers.maximum_token_bytes)
        if not unverified.header.b64:
            raise RejectedError(Reason.HEADER_CRITICAL, "claims are always encoded (RFC 7797 §7)")
        return unverified

    def check_revoked(self, issuer: TrustedIssuer, key_id: str | None) -> None:
        named = issuer.policy.issuer
        if self.revocation is None or key_id is None or not isinstance(named, str):
            return
        if self.revocation.key_revoked(named, key_id):
            raise RejectedError(Reason.KEY_REVOKED, "the token's key has been revoked")


def _blank(token: object) -> str:
    if token is None:
        return ""
    raise RejectedError(Reason.TOKEN_MALFORMED, "a token is text or bytes")


def _name(key: VerificationKey) -> str:
    return key.algorithm.name if key.algorithm is not None else "unknown"
