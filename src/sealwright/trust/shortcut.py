"""Shortcut: the ordinary token in few steps. What it accepts, Pipeline would; the rest Pipeline decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sealwright.errors import Reason, RejectedError
from sealwright.jose.base64url import decode
from sealwright.jose.claims import check_scopes
from sealwright.jose.compact import UnverifiedJWS
from sealwright.jose.header import remembered
from sealwright.jose.strict_json import parse_object
from sealwright.trust.decision import Verified
from sealwright.trust.evidence import Evidence
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.key_source import KeySource, VerificationKey, nothing_known
from sealwright.trust.pipeline import Pipeline, Trail, Unproven
from sealwright.trust.token_check import UNBOUND, Proven


class _Ordinary(NamedTuple):
    """What one issuer's tokens are held against, within reach: each step from object to object costs, too."""

    issuer: TrustedIssuer
    algorithms: frozenset[str]
    types: frozenset[str | None]
    find: Callable[[str | None], VerificationKey | None]
    check_claims: Callable[[Mapping[str, Any], float], None]
    ends_here: bool  # unless a token is bound to a key


class Shortcut:
    """The checks are those of ``Pipeline``, which has each of them explained and in its own function.

    They are written out here because a call costs as much as a check, and all of them together as much as an HMAC.
    A property test holds the two side by side.
    """

    __slots__ = ("_by_name", "_maximum_bytes", "_now", "_pipeline")

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._now = pipeline.clock.now
        self._maximum_bytes = most = pipeline.issuers.maximum_token_bytes
        self._by_name: Mapping[str, _Ordinary] = {
            one.policy.issuer: self._gather(one)
            for one in pipeline.issuers  # without those that have a smaller limit, or rules for other header members
            if isinstance(one.policy.issuer, str)
            and one.policy.maximum_token_bytes >= most
            and one.policy.profile.header_members is None
        }

    def verify(  # noqa: C901 - a call costs as much as a check
        self, token: Any, scopes: frozenset[str], evidence: Evidence, trail: Trail | None = None
    ) -> Verified | None:
        """None for a token that Pipeline should look at. Raises what ``Pipeline.verify`` raises."""
        try:
            if len(token) > self._maximum_bytes:
                return None
            signing_input, segment = token.encode().rsplit(b".", 1)
            protected, payload = signing_input.split(b".", 2)
            header = remembered(protected)
            claims = parse_object(decode(payload))
            signature = decode(segment)
            issuer, algorithms, types, find, check_claims, ends_here = self._by_name[claims["iss"]]
        except (RejectedError, LookupError, ValueError, TypeError, AttributeError):
            return None
        algorithm, key_id = header.algorithm, header.key_id
        if algorithm not in algorithms or key_id is None or not header.b64 or (types and header.type not in types):
            return None
        if trail is not None:
            trail.issuer, trail.asked = issuer, key_id
        if (key := find(key_id)) is None:
            return None
        if algorithm not in key.accepts or key.algorithm is None or key.has_limits:
            unproven = Unproven(issuer, header, UnverifiedJWS(header, signing_input, signature, payload), claims)
            return self._finish(issuer, self._pipeline.after_key(unproven, key, scopes, trail), token, evidence)
        if trail is not None:
            trail.key = trail.found = key
        if not key.verify(signature, signing_input):
            raise RejectedError(Reason.SIGNATURE_INVALID, "the signature does not match")
        check_claims(claims, self._now())
        if scopes:
            check_scopes(claims, scopes)
        seen = tuple.__new__(Verified, (claims["iss"], key.key_id, key.algorithm.name, claims))
        return seen if ends_here and "cnf" not in claims else self._finish(issuer, seen, token, evidence)

    def _finish(self, issuer: TrustedIssuer, seen: Verified, token: str | bytes, evidence: Evidence) -> Verified:
        return self._pipeline.finish(issuer, Proven(issuer.policy, seen, token, evidence))

    def _find(self, source: KeySource) -> Callable[[str | None], VerificationKey | None]:
        return source.find

    def _gather(self, issuer: TrustedIssuer) -> _Ordinary:
        policy, find, pipeline = issuer.policy, self._find(issuer.source), self._pipeline

        def find_unrevoked(key_id: str | None) -> VerificationKey | None:
            pipeline.check_revoked(issuer, key_id)
            return find(key_id)

        found = find if pipeline.revocation is None else find_unrevoked
        ends_here = issuer.binding is UNBOUND and not issuer.checks and pipeline.revocation is None
        return _Ordinary(issuer, policy.algorithms, policy.ordinary_types(), found, policy.rules.check, ends_here)


class PromptShortcut(Shortcut):
    """The shortcut as far as an event loop may go without a wait: to a key that is known, and before ``finish``."""

    __slots__ = ()

    def _find(self, source: KeySource) -> Callable[[str | None], VerificationKey | None]:
        known: Callable[[str | None], VerificationKey | None] = getattr(source, "known", nothing_known)
        return known

    def _finish(self, _: TrustedIssuer, seen: Verified, *__: object) -> Verified:
        return seen
