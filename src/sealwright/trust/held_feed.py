"""HeldFeed: what the feed of one issuer says now, and the rules by which a newer one replaces it."""

from __future__ import annotations

from typing import NamedTuple

from sealwright.clock import Clock
from sealwright.errors import Reason, RejectedError
from sealwright.statements.revoked_keys import LIFETIME_S, TYP, Feed, parse_feed
from sealwright.trust.state_file import Remembered, StateFile
from sealwright.trust.statement_reader import Taken
from sealwright.trust.trust_root import TrustRoot


class Held(NamedTuple):
    """Read without a lock, replaced as a whole. ``revoked`` only ever grows: revoked is for ever."""

    revoked: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()  # digests
    sequence: int = -1
    named: frozenset[str] = frozenset()  # what this very sequence revokes
    issued_at: float = 0.0  # seconds since the epoch
    dead_at: float = float("-inf")  # monotonic seconds; from then on nothing can be decided by it


class HeldFeed:
    """One issuer's. ``take`` is for one thread at a time; ``now`` is for everybody.

    A feed counts for its lifetime, 300 s at most, from the moment at which this process first saw it: so a feed that
    somebody plays again and again grows old here, whatever the clocks say.
    """

    def __init__(self, issuer: str, root: TrustRoot, state: StateFile, *, clock: Clock, skew_s: float) -> None:
        self._issuer, self._root, self._state = issuer, root, state
        self._clock, self._skew_s = clock, skew_s
        remembered = state.read()
        self.now = Held(revoked=remembered.revoked, sequence=remembered.sequence)

    def take(self, body: bytes | None) -> Taken:
        """Obey a feed as it came; None confirms the one that is held. Raises RejectedError or UnavailableError."""
        held = self.now
        if body is None:
            return Taken(False, held.sequence, len(held.revoked))
        feed = self._verified(body)
        self._check_order(feed, held)
        return self._obey(feed, held)

    def _verified(self, body: bytes) -> Feed:
        claims = self._root.claims_of(body, TYP)
        feed = parse_feed(claims)
        if feed.issuer != self._issuer or claims.get("sub") != self._issuer:
            raise RejectedError(Reason.CLAIMS_ISSUER, "the feed is about another issuer")
        now = self._clock.now()
        if now - self._skew_s >= feed.expires_at:
            raise RejectedError(Reason.CLAIMS_EXPIRED, "the feed is too old")
        if feed.issued_at > now + self._skew_s:
            raise RejectedError(Reason.CLAIMS_ISSUED_IN_FUTURE, "the feed was issued in the future")
        return feed

    def _check_order(self, feed: Feed, held: Held) -> None:
        if feed.sequence < held.sequence:
            raise _rolled_back()
        # Two replicas may sign one state twice; one that forgets what the other revoked is no replica of it.
        if feed.sequence == held.sequence and not held.named <= _key_ids(feed):
            raise _rolled_back()

    def _obey(self, feed: Feed, held: Held) -> Taken:
        named = _key_ids(feed)
        # At once, also when the disk is full: to refuse more is always safe.
        self.now = held._replace(revoked=held.revoked | named)
        kept = self._state.keep(Remembered(feed.sequence, held.revoked | named))
        revoked = held.revoked | kept.revoked
        if kept.sequence > feed.sequence:  # another worker has seen a newer one
            self.now = held._replace(revoked=revoked, sequence=kept.sequence, named=frozenset())
            raise _rolled_back()
        if feed.sequence > held.sequence or feed.issued_at > held.issued_at:
            times = feed.issued_at, self._dead_at(feed)
            self.now = Held(revoked, feed.tokens, feed.sequence, named, *times)
        else:
            self.now = held._replace(revoked=revoked)
        return Taken(self.now[:3] != held[:3], feed.sequence, len(revoked))

    def _dead_at(self, feed: Feed) -> float:
        life_s = min(feed.expires_at - feed.issued_at, LIFETIME_S)
        left_s = feed.expires_at + self._skew_s - self._clock.now()
        return self._clock.monotonic() + min(life_s, left_s)


def _key_ids(feed: Feed) -> frozenset[str]:
    return frozenset(key.key_id for key in feed.revoked)


def _rolled_back() -> RejectedError:
    return RejectedError(Reason.STATEMENT_ROLLED_BACK, "the feed is older than one that was seen before")
