"""DecisionCache: a token that was accepted before costs a lookup, and is judged anew by all that may have changed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from sealwright.errors import ConfigurationError, Reason, SealwrightError
from sealwright.events import Again
from sealwright.jose.claims import check_scopes
from sealwright.trust.decision import Decision, Verified
from sealwright.trust.evidence import NO_EVIDENCE, Evidence
from sealwright.trust.frozen_claims import frozen, size_bytes
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.key_source import VerificationKey, nothing_known
from sealwright.trust.pipeline import Pipeline, Trail
from sealwright.trust.token_check import ANY_BINDING, UNBOUND, Proven, TokenCheck, left_of

# What an entry takes beside its token and claims, and what is made of it.
_SEEN_BYTES, _REMEMBERED_BYTES = 400, 2400
LEAST_BYTES = 64 * 1024
_EXACT = (str, bytes)
Claims = Mapping[str, Any]
Known = Callable[[str | None], VerificationKey | None]


class CacheFigures(NamedTuple):
    """Counted since the start. ``size_bytes`` is what the entries take at most."""

    hits: int
    misses: int
    entries: int
    size_bytes: int


class Seen:
    """One token that was accepted, once so far: when its claims hold, and what proved its signature."""

    __slots__ = ("asked", "found", "issuer", "key", "since", "size_bytes", "tell", "until")

    def __init__(self, token: str | bytes, issuer: TrustedIssuer, trail: Trail, claims: Claims, tell: Again) -> None:
        self.issuer, self.asked, self.found, self.key = issuer, trail.asked, trail.found, trail.key
        self.since, self.until = issuer.policy.rules.window(claims)
        self.size_bytes, self.tell = sys.getsizeof(token) + _SEEN_BYTES, tell


class Remembered:
    """One that came again. Of the claims only times can fail later."""

    __slots__ = (*Seen.__slots__, "again", "decision", "is_prompt", "known", "proven")

    def __init__(self, seen: Seen, proven: Proven) -> None:
        self.issuer, self.asked, self.found, self.key = seen.issuer, seen.asked, seen.found, seen.key
        self.since, self.until, self.tell = seen.since, seen.until, seen.tell
        self.size_bytes = seen.size_bytes + size_bytes(proven.claims) + _REMEMBERED_BYTES
        left = [left_of(one, proven) for one in self.issuer.checks]
        self.again: tuple[TokenCheck, ...] = tuple([one for one in left if one is not None])
        self.known: Known = getattr(self.issuer.source, "known", nothing_known)
        self.is_prompt = all(getattr(one, "is_prompt", False) for one in self.again)
        self.proven, self.decision = proven, Decision("accepted", proven.verified, made={})


class _Generation(dict[Hashable, Seen | Remembered]):
    """Entries, and the bytes that they take."""

    size_bytes = 0


class DecisionCache:
    """Of one Verifier, so of one policy. Bounded in bytes; asking it takes no lock.

    It remembers that the signature of a token held under a key, and its claims under the rules. What may change is
    asked anew for each presentation, in the order of Pipeline: revocations, the key that is known under the kid, the
    times of the claims, scopes, and the checks that the issuer has on top. So a token is refused at the moment at
    which it would be refused without a cache, for the same reason. A token that is bound to a key, and one whose
    issuer judges bindings or counts presentations, is never remembered; nor is a refusal.

    Of a token that came once no more than that is kept, since most never come again; the rest is made of the token when
    it does. There are two generations: when the young one has half of the bytes it becomes the old one, and what is
    asked for again moves over. Raises ConfigurationError ``settings.invalid`` for less than 64 KiB.
    """

    def __init__(self, pipeline: Pipeline, maximum_bytes: int) -> None:
        if maximum_bytes < LEAST_BYTES:
            raise ConfigurationError(Reason.SETTINGS_INVALID, f"a decision cache has {LEAST_BYTES} bytes or more")
        self._pipeline, self._now = pipeline, pipeline.clock.now
        self._half_bytes = maximum_bytes // 2
        self._young, self._old = _Generation(), _Generation()
        self._keeping, self._process = threading.Lock(), os.getpid()
        self._hits = self._misses = 0

    def prompt(self, token: str | bytes, scopes: frozenset[str], evidence: Evidence) -> Remembered | None:
        """What is remembered, where it still holds and nobody has to be waited for; never raises.

        None for all else: ``recall`` or ``arecall`` says what is the matter.
        """
        entry = self._young.get(token) if type(token) in _EXACT else None
        if type(entry) is not Remembered or not entry.is_prompt:
            return None
        try:
            self._check_key_revoked(entry)
            found = entry.known(entry.asked)
            if found is None or not self._holds(entry, found, scopes):
                return None
            for one in entry.again:
                one.check(entry.proven._replace(evidence=evidence), self._now())
        except SealwrightError:
            return None
        self._hits += 1
        return entry

    def recall(
        self, token: str | bytes, scopes: frozenset[str], evidence: Evidence, trail: Trail | None
    ) -> Decision | None:
        """The decision of earlier where it still holds; None for a token that has to be verified.

        Raises what ``Pipeline.verify`` raises for a token whose signature and claims hold.
        """
        entry = self._find(token, trail)
        if entry is None:
            return None
        self._check_key_revoked(entry)
        if not self._holds(entry, entry.issuer.source.find(entry.asked), scopes):
            self._forget(token)
            return None
        for one in entry.again:  # 11
            one.check(entry.proven._replace(evidence=evidence), self._now())
        self._hits += 1
        return entry.decision

    async def arecall(
        self, token: str | bytes, scopes: frozenset[str], evidence: Evidence, trail: Trail | None
    ) -> Decision | None:
        """``recall`` for an event loop."""
        entry = self._find(token, trail)
        if entry is None:
            return None
        self._check_key_revoked(entry)
        if not self._holds(entry, await entry.issuer.source.afind(entry.asked), scopes):
            self._forget(token)
            return None
        for one in entry.again:
            await one.acheck(entry.proven._replace(evidence=evidence), self._now())
        self._hits += 1
        return entry.decision

    def keep(self, token: str | bytes, verified: Verified, trail: Trail, tell: Again) -> Decision:
        """The decision over an accepted token, remembered if that is allowed; then nobody can change its claims."""
        self._misses += 1
        issuer = trail.issuer
        if type(token) not in _EXACT or issuer is None or not _may_keep(issuer, trail, verified):
            return Decision("accepted", verified)
        self._put(token, Seen(token, issuer, trail, verified.claims, tell))
        return Decision("accepted", verified._replace(claims=frozen(verified.claims)))

    def figures(self) -> CacheFigures:
        young, old = self._young, self._old
        return CacheFigures(self._hits, self._misses, len(young) + len(old), young.size_bytes + old.size_bytes)

    def _find(self, token: str | bytes, trail: Trail | None) -> Remembered | None:
        if type(token) not in _EXACT:
            return None
        entry = self._young.get(token)
        if entry is None:
            entry = self._old.get(token)
            if entry is None:
                return None
            self._put(token, entry)
        if isinstance(entry, Seen):
            entry = self._grown(token, entry)
        if trail is not None:
            trail.issuer, trail.key = entry.issuer, entry.key
        return entry

    def _grown(self, token: str | bytes, seen: Seen) -> Remembered:
        """Its claims are read once more, which is quicker than to keep those of all that come once."""
        claims = frozen(self._pipeline.parse(token).unverified_claims())  # these bytes were verified
        key_id, row = (None, None) if seen.key is None else (seen.key.key_id, seen.key.algorithm)
        verified = Verified(seen.issuer.name_in(claims), key_id, row.name if row else "unknown", claims)
        entry = Remembered(seen, Proven(seen.issuer.policy, verified, token, NO_EVIDENCE))
        self._put(token, entry)
        return entry

    def _check_key_revoked(self, entry: Remembered) -> None:
        if self._pipeline.revocation is not None:
            named = entry.asked if entry.key is None or entry.asked is not None else entry.key.key_id
            self._pipeline.check_revoked(entry.issuer, named)  # 4

    def _holds(self, entry: Remembered, found: VerificationKey, scopes: frozenset[str]) -> bool:
        """Steps 5 to 9; False for a token that has to be verified anew. Raises as those from 8 on."""
        if found is not entry.found:
            if found != entry.found:
                return False
            entry.found = found  # the same key of a newer set
        if not entry.since <= self._now() < entry.until:
            return False
        if scopes:
            check_scopes(entry.proven.claims, scopes)
        if self._pipeline.revocation is not None:
            self._pipeline.check_token_revoked(entry.issuer, entry.proven.claims)
        return True

    def _forget(self, token: str | bytes) -> None:
        """Its bytes are free again when its generation is."""
        self._young.pop(token, None)
        self._old.pop(token, None)

    def _put(self, token: str | bytes, entry: Seen | Remembered) -> None:
        if entry.size_bytes > self._half_bytes:
            return
        with self._lock():
            before = self._young.pop(token, None)
            if before is not None:
                self._young.size_bytes -= before.size_bytes
            if self._young.size_bytes + entry.size_bytes > self._half_bytes:
                self._old, self._young = self._young, _Generation()
            self._young.size_bytes += entry.size_bytes
            self._young[token] = entry

    def _lock(self) -> threading.Lock:
        if self._process != os.getpid():  # a fork: whoever held it stayed in the parent
            self._process, self._keeping = os.getpid(), threading.Lock()
        return self._keeping


def _may_keep(issuer: TrustedIssuer, trail: Trail, verified: Verified) -> bool:
    return (
        (issuer.binding is UNBOUND or issuer.binding is ANY_BINDING)
        and "cnf" not in verified.claims
        and trail.key is not None
        and not trail.key.has_limits  # their times are the key's own
        and all(getattr(one, "reads_only", False) for one in issuer.checks)
    )
