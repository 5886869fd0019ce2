"""Pipeline: the steps from a token to a Verified, in the order that keeps each one safe.

1 limits and shape      4 revoked key       7 claims             10 binding
2 configured issuer     5 its key           8 scopes             11 status, introspection
3 algorithm and type    6 signature         9 revoked token      12 replay

Replay writes, so it is last: a bad token must never fill its store. The key of step 5 and the checks from 10 on, which
each issuer has its own of, may have to be waited for: ``before_key``, ``after_key`` and ``finish`` are three parts.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from sealwright.trust.evidence import Evidence
from sealwright.trust.issuers import Issuers, TrustedIssuer
from sealwright.trust.key_source import VerificationKey
from sealwright.trust.revocation import RevocationList
from sealwright.trust.token_check import Proven

_TOKEN_TYPES, _KEY_TYPES = (str, bytes), (PublicJWK, SecretJWK)


@dataclass(slots=True)
class Trail:
    """How far one token has come: what its event may say about it."""

    began: float = 0.0
    issuer: TrustedIssuer | None = None
    key: VerificationKey | None = None
    asked: str | None = None  # the kid that its key was asked for by
    found: VerificationKey | None = None  # the key as its source has it


class Unproven(NamedTuple):
    """A token before its key is known: whose it says that it is, and nothing proven."""

    issuer: TrustedIssuer
    header: Header
    parsed: UnverifiedJWS
    claims: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stateless. Everything here raises RejectedError or UnavailableError."""

    issuers: Issuers
    revocation: RevocationList | None
    clock: Clock

    def verify(
        self, token: str | bytes, scopes: frozenset[str], evidence: Evidence, trail: Trail | None = None
    ) -> Verified:
        seen = self.before_key(token, trail)
        verified = self.after_key(seen, seen.issuer.source.find(seen.header.key_id), scopes, trail)
        return self.finish(seen.issuer, Proven(seen.issuer.policy, verified, token, evidence))

    async def averify(
        self, token: str | bytes, scopes: frozenset[str], evidence: Evidence, trail: Trail | None = None
    ) -> Verified:
        seen = self.before_key(token, trail)
        verified = self.after_key(seen, await seen.issuer.source.afind(seen.header.key_id), scopes, trail)
        return await self.afinish(seen.issuer, Proven(seen.issuer.policy, verified, token, evidence))

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
            trail.key = trail.found = key
            trail.asked = header.key_id
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

    def finish(self, issuer: TrustedIssuer, proven: Proven) -> Verified:
        self.check_token_revoked(issuer, proven.claims)  # 9
        for one in issuer.checks_for(proven.claims):  # 10 to 12
            one.check(proven, self.clock.now())
        return proven.verified

    async def afinish(self, issuer: TrustedIssuer, proven: Proven) -> Verified:
        self.check_token_revoked(issuer, proven.claims)  # 9
        for one in issuer.checks_for(proven.claims):  # 10 to 12
            await one.acheck(proven, self.clock.now())
        return proven.verified

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

    def check_token_revoked(self, issuer: TrustedIssuer, claims: Mapping[str, Any]) -> None:
        named, token_id = issuer.policy.issuer, claims.get("jti")
        if self.revocation is None or token_id is None or not isinstance(named, str):
            return
        if self.revocation.token_revoked(named, token_id):
            raise RejectedError(Reason.TOKEN_REVOKED, "the token has been revoked")


def _blank(token: object) -> str:
    if token is None:
        return ""
    raise RejectedError(Reason.TOKEN_MALFORMED, "a token is text or bytes")


def _name(key: VerificationKey) -> str:
    return key.algorithm.name if key.algorithm is not None else "unknown"
