"""ReplayCheck: a token is accepted once. It writes, so it comes after everything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, NoReturn

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.events import Observer, ReplayClaimed, ReplayOutcome, tell
from sealwright.jose.claims import audience_of
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.replay import ReplayStore, claim_key
from sealwright.trust.replay_quota import ReplayQuota
from sealwright.trust.stores.memory import MemoryReplayStore
from sealwright.trust.token_check import Proven

CLOCK_MARGIN_S = 240.0  # between one verifier that is 120 s ahead and one that is 120 s behind
OPEN_AT_MOST_S = 60.0  # how long a token may still be of use that is accepted without the store
REMEMBERED_HERE = 100_000


class _Claim(NamedTuple):
    issuer: str
    key: bytes
    ttl_s: float
    usable_s: float  # how long the token can still be accepted by this clock
    began: float


class ReplayCheck:
    """One for each issuer. Raises RejectedError ``replay.seen_before``, or ``claims.missing`` for a token without jti
    or without end; UnavailableError ``replay.unavailable`` or ``replay.full``.

    ``on_failure`` "open" accepts while the store cannot be asked: only tokens with at most 60 s to live, leeway
    included, that were not accepted by this process before, and each with an event. A full store never opens.
    ``clock_margin_s`` is how far the clocks of verifiers may lie apart. ``maximum_entries`` bounds what this issuer
    uses of a shared store through this process.
    """

    name = "replay"
    expects = "a jti that was not presented before"

    def __init__(
        self,
        store: ReplayStore,
        *,
        on_failure: Literal["closed", "open"] = "closed",
        clock_margin_s: float = CLOCK_MARGIN_S,
        maximum_entries: int | None = None,
        observer: Observer | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if on_failure not in ("closed", "open") or not 0 <= clock_margin_s < math.inf:
            message = 'on_failure is "closed" or "open", and the margin of clocks is not negative'
            raise ConfigurationError(Reason.SETTINGS_INVALID, message)
        self._store, self._observer, self._clock = store, observer, clock
        self._margin_s = clock_margin_s
        self._here = MemoryReplayStore(REMEMBERED_HERE, clock=clock) if on_failure == "open" else None
        self._forgetful_until = -math.inf  # monotonic
        self._quota = None if maximum_entries is None else ReplayQuota(maximum_entries)

    def check(self, seen: Proven, now: float) -> None:
        claim = self._claim(seen, now)
        try:
            first = self._store.claim(claim.key, claim.ttl_s)
        except UnavailableError as error:
            return self._without_store(claim, error)
        return self._judge(claim, first)

    async def acheck(self, seen: Proven, now: float) -> None:
        claim = self._claim(seen, now)
        try:
            first = await self._store.aclaim(claim.key, claim.ttl_s)
        except UnavailableError as error:
            return self._without_store(claim, error)
        return self._judge(claim, first)

    def _claim(self, seen: Proven, now: float) -> _Claim:
        token_id, began = seen.claims.get("jti"), self._clock.monotonic()
        if not token_id:
            raise RejectedError(Reason.CLAIMS_MISSING, 'the token has no "jti" claim')
        usable_s = _last_instant(seen.policy, seen.claims) - now
        key = claim_key(seen.verified.issuer, *audience_of(seen.claims), _owner(seen.claims), token_id)
        claim = _Claim(seen.policy.name, key, max(usable_s, 0.0) + self._margin_s + 0.001, usable_s, began)
        if self._quota is not None:
            try:
                self._quota.check(began)
            except UnavailableError as error:
                self._close(claim, error)
        return claim

    def _judge(self, claim: _Claim, first: bool) -> None:
        if first and self._quota is not None:
            self._quota.count(claim.began + claim.ttl_s)
        if first:
            first = self._first_here(claim)
        self._observe(claim, "first" if first else "seen")
        if not first:
            raise RejectedError(Reason.REPLAY_SEEN_BEFORE, "the token was presented before")

    def _first_here(self, claim: _Claim) -> bool:
        """Remembered for a failure of the store. What was let in during one must not come in again after it."""
        try:
            return self._here is None or self._here.claim(claim.key, _own_ttl_s(claim))
        except UnavailableError:  # no room: until this token has ended, nothing is let in unasked
            self._forgetful_until = max(self._forgetful_until, claim.began + _own_ttl_s(claim))
            return True

    def _without_store(self, claim: _Claim, error: UnavailableError) -> None:
        opens = error.reason == Reason.REPLAY_UNAVAILABLE and claim.usable_s <= OPEN_AT_MOST_S
        if self._here is None or not opens or claim.began < self._forgetful_until:
            self._close(claim, error)
        try:
            first = self._here.claim(claim.key, _own_ttl_s(claim))
        except UnavailableError as full:
            self._close(claim, full)
        if not first:
            return self._judge(claim, first)
        return self._observe(claim, "failed_open", error.reason)

    def _close(self, claim: _Claim, error: UnavailableError) -> NoReturn:
        self._observe(claim, "failed_closed", error.reason)
        raise error

    def _observe(self, claim: _Claim, outcome: ReplayOutcome, reason: Reason | None = None) -> None:
        if self._observer is not None:
            tell(self._observer, ReplayClaimed(claim.issuer, outcome, self._clock.monotonic() - claim.began, reason))


def _own_ttl_s(claim: _Claim) -> float:
    """In the memory of this process, whose clock is the one that decides."""
    return max(claim.usable_s, 0.0) + 1.0


def _last_instant(policy: VerificationPolicy, claims: Mapping[str, Any]) -> float:
    """When ClaimRules accept the token for the last time."""
    expires, issued, oldest_s = claims.get("exp"), claims.get("iat"), policy.maximum_age_s
    ends = [] if expires is None else [float(expires)]
    if issued is not None and oldest_s is not None:
        ends.append(issued + oldest_s)
    if not ends:
        raise RejectedError(Reason.CLAIMS_MISSING, "the token never ends, and cannot be remembered for ever")
    return min(ends) + policy.leeway_s


def _owner(claims: Mapping[str, Any]) -> str:
    """Whose the token is: of the key that it is bound to, else of its subject. Both are signed, unlike a found kid."""
    bound = claims.get("cnf")
    if isinstance(bound, dict):
        return str(bound.get("jkt") or bound.get("x5t#S256") or "")
    return str(claims.get("sub", ""))
