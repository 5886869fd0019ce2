"""Trials: tokens that the key service wants tried, until each has shown what it is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from sealwright.clock import Clock
from sealwright.errors import Reason
from sealwright.statements.verifier_reports import MOST_TRIALS, Trial, Tried
from sealwright.trust.decision import Decision

T = TypeVar("T")
Decide = Callable[[Trial], Decision]


class Trials:
    """For one thread. A trial is settled once a rehearsal is accepted, a canary refused for its key, or its time over.

    Until then it is tried before each poll. What came out is reported until a poll with it was answered.
    """

    def __init__(self, decide: Decide, clock: Clock) -> None:
        self._decide, self._clock = decide, clock
        self._open: dict[str, Trial] = {}
        self._settled: dict[str, None] = {}
        self._unsaid: dict[str, Tried] = {}
        self._said: dict[str, tuple[str, str | None]] = {}

    def offer(self, trials: Mapping[str, Trial]) -> bool:
        """Take what the service asks for; whether some of it is new."""
        new = {key: trial for key, trial in trials.items() if key not in self._settled and key not in self._open}
        self._open = _latest({**self._open, **new})
        return bool(new)

    def run(self) -> bool:
        """Try what is not settled; whether anything came out that the service does not know yet."""
        for key, trial in list(self._open.items()):
            decision = self._decide(trial)
            reason = None if decision.reason is None else str(decision.reason)
            if self._said.get(key) != (decision.outcome, reason):
                self._unsaid[key] = Tried(decision.outcome, reason, self._clock.now())
            if _is_settled(trial, decision):
                del self._open[key]
                self._settled = _latest({**self._settled, key: None}, 4 * MOST_TRIALS)
        self._unsaid = _latest(self._unsaid)
        return bool(self._unsaid)

    def unsaid(self) -> dict[str, Tried]:
        """What the next poll should say."""
        return dict(self._unsaid)

    def said(self, results: Mapping[str, Tried]) -> None:
        """A poll with these results was answered."""
        for key, result in results.items():
            self._said[key] = (result.outcome, result.reason)
            if self._unsaid.get(key) == result:
                del self._unsaid[key]
        self._said = _latest(self._said, 4 * MOST_TRIALS)


def _is_settled(trial: Trial, decision: Decision) -> bool:
    if decision.reason is Reason.CLAIMS_EXPIRED:
        return True
    if trial.kind == "rehearsal":
        return decision.outcome == "accepted"
    # A canary that fails for its type or its times proves nothing about its key.
    return decision.outcome == "rejected" and str(decision.reason).startswith("key.")


def _latest(items: dict[str, T], most: int = MOST_TRIALS) -> dict[str, T]:
    return dict(list(items.items())[-most:])
