"""Telling: the event of each decision. That of an accepted token is prepared once for each key of an issuer."""

from __future__ import annotations

from sealwright.clock import Clock
from sealwright.errors import Reason
from sealwright.events import Again, Observer, TokenDecided, prepared, tell, unobserved
from sealwright.trust.decision import Decision, Outcome
from sealwright.trust.pipeline import Trail

MOST_PREPARED = 1000


class Telling:
    """For one verifier and its observer, if it has any. Whatever the observer does, the caller goes on."""

    def __init__(self, observer: Observer | None, clock: Clock) -> None:
        self._observer, self._now = observer, clock.monotonic
        self._prepared: dict[object, Again] = {}

    @property
    def has_observer(self) -> bool:
        return self._observer is not None

    def trail(self) -> Trail | None:
        """For a decision that begins now; None where nobody observes it."""
        return None if self._observer is None else Trail(self._now())

    def decided(self, decision: Decision, trail: Trail | None) -> None:
        if self._observer is None or trail is None:
            return
        if decision.verified is None:
            tell(self._observer, self._event(decision.outcome, decision.reason, trail))
        else:
            self.accepted(self.again(trail), trail.began)

    def accepted(self, again: Again, began: float) -> None:
        try:
            again(self._now() - began)
        except Exception:  # noqa: BLE001 - as in tell
            return

    def again(self, trail: Trail) -> Again:
        """What observes a token that was accepted: the same for all of one issuer and key."""
        if self._observer is None:
            return unobserved
        issuer, key = trail.issuer, trail.key
        assert issuer is not None
        assert key is not None
        named = (issuer.policy.issuer, key.key_id, key.algorithm and key.algorithm.name)
        found = self._prepared.get(named)
        if found is None:
            if len(self._prepared) >= MOST_PREPARED:
                self._prepared.clear()
            found = self._prepared[named] = prepared(self._observer, self._event("accepted", None, trail))
        return found

    def _event(self, outcome: Outcome, reason: Reason | None, trail: Trail) -> TokenDecided:
        row = trail.key.algorithm if trail.key else None
        return TokenDecided(
            issuer=trail.issuer.policy.name if trail.issuer else "unknown",
            algorithm=row.name if row else "unknown",
            key_id=trail.key.key_id if trail.key else None,
            outcome=outcome,
            reason=reason,
            duration_s=self._now() - trail.began,
        )
