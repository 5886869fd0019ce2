"""Verifier reports: what a verifier says with each poll for events (RFC 8936 §2.4), and what it gets. Pure.

The poll is the closed loop: it says which sequence of each issuer the verifier enforces, which keys it holds, when it
last accepted each, and how it decided over the tokens that it was asked to try.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sealwright.errors import Reason, RejectedError

LONGEST_WAIT_S = 15.0  # how long the service holds a poll that has nothing to say
MOST_ISSUERS, MOST_KEYS, MOST_TRIALS = 64, 128, 32
_LONGEST_TEXT, _LONGEST_NAME = 500, 100  # characters; of the names of trials and reasons
_OUTCOMES = ("accepted", "rejected", "undecided")


@dataclass(frozen=True, slots=True)
class IssuerReport:
    """What one verifier enforces of one issuer.

    ``sequence`` is that of the feed of revoked keys, None without one; ``feed_age_s`` and ``keys_age_s`` are seconds
    since the last successful fetch. ``keys`` has every kid that it would accept, and when it last did: seconds since
    the epoch, None for never.
    """

    sequence: int | None
    feed_age_s: float | None
    keys_age_s: float | None
    keys: Mapping[str, float | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        ages = {"feed_age_s": self.feed_age_s, "keys_age_s": self.keys_age_s}
        return {"seq": self.sequence, **ages, "keys": dict(self.keys)}


@dataclass(frozen=True, slots=True)
class Tried:
    """How a verifier decided over a token that it was asked to try, at ``tried_at`` (seconds since the epoch)."""

    outcome: Literal["accepted", "rejected", "undecided"]
    reason: str | None
    tried_at: float


@dataclass(frozen=True, slots=True)
class VerifierReport:
    """One worker of one verifier: ``name`` is that of the verifier, ``instance`` that of the process."""

    name: str
    instance: str
    issuers: Mapping[str, IssuerReport]
    tried: Mapping[str, Tried] = field(default_factory=dict)  # by the id of the trial

    def to_dict(self) -> dict[str, Any]:
        tried = {key: {"outcome": t.outcome, "reason": t.reason, "at": t.tried_at} for key, t in self.tried.items()}
        issuers = {name: report.to_dict() for name, report in self.issuers.items()}
        return {"name": self.name, "instance": self.instance, "issuers": issuers, "tried": tried}


@dataclass(frozen=True, slots=True)
class Trial:
    """A token to try. ``rehearsal``: of a standby key, for ``audience``, which nobody serves; ``canary``: of a revoked
    key, to be tried until it is refused.
    """

    kind: Literal["rehearsal", "canary"]
    token: str = field(repr=False)
    audience: str

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "token": self.token, "audience": self.audience}


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """``sets`` are security event tokens by their jti (RFC 8936 §2.5), ``trials`` tokens to try by their id."""

    sets: Mapping[str, str] = field(default_factory=dict, repr=False)
    trials: Mapping[str, Trial] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        trials = {key: trial.to_dict() for key, trial in self.trials.items()}
        return {"sets": dict(self.sets), "moreAvailable": False, "trials": trials}


def parse_report(value: Any) -> VerifierReport:
    """The report in a poll. Raises RejectedError ``statement.malformed``."""
    shown = _object(value)
    issuers, tried = _object(shown.get("issuers"), MOST_ISSUERS), _object(shown.get("tried", {}), MOST_TRIALS)
    return VerifierReport(
        _text(shown.get("name")),
        _text(shown.get("instance")),
        {_text(name): _issuer(report) for name, report in issuers.items()},
        {_text(key, _LONGEST_NAME): _tried(result) for key, result in tried.items()},
    )


def parse_answer(value: Any) -> PollAnswer:
    """What the service answered. Raises RejectedError ``statement.malformed``."""
    shown = _object(value)
    sets, trials = _object(shown.get("sets", {}), MOST_ISSUERS), _object(shown.get("trials", {}), MOST_TRIALS)
    return PollAnswer(
        {_text(key): _text(token, 64 * 1024) for key, token in sets.items()},
        {_text(key): _trial(trial) for key, trial in trials.items()},
    )


def _issuer(value: Any) -> IssuerReport:
    shown = _object(value)
    sequence = shown.get("seq")
    if sequence is not None and (type(sequence) is not int or not 0 <= sequence < 2**63):
        raise _malformed("a sequence is a whole number")
    keys = _object(shown.get("keys", {}), MOST_KEYS)
    accepted = {_text(key_id): _number(at) for key_id, at in keys.items()}
    return IssuerReport(sequence, _number(shown.get("feed_age_s")), _number(shown.get("keys_age_s")), accepted)


def _tried(value: Any) -> Tried:
    shown = _object(value)
    outcome, reason, at = shown.get("outcome"), shown.get("reason"), _number(shown.get("at"))
    if outcome not in _OUTCOMES or at is None:
        raise _malformed("a trial has an outcome and a time")
    return Tried(outcome, None if reason is None else _text(reason, _LONGEST_NAME), at)


def _trial(value: Any) -> Trial:
    shown = _object(value)
    kind = shown.get("kind")
    if kind not in ("rehearsal", "canary"):
        raise _malformed("there is no such kind of trial")
    return Trial(kind, _text(shown.get("token"), 64 * 1024), _text(shown.get("audience")))


def _object(value: Any, most: int = MOST_KEYS) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > most:
        raise _malformed("an object is missing or too large")
    return value


def _text(value: Any, longest: int = _LONGEST_TEXT) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise _malformed("a text is missing, too long or unprintable")
    return value


def _number(value: Any) -> float | None:
    """A time or an age; JSON here has neither NaN nor infinity."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise _malformed("a time is a number of seconds")
    return float(value)


def _malformed(message: str) -> RejectedError:
    return RejectedError(Reason.STATEMENT_MALFORMED, f"this is no verifier's report: {message}")
