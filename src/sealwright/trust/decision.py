"""Decision: accepted, rejected or undecided, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, Self

from sealwright.errors import Reason, RejectedError, SealwrightError, UnavailableError
from sealwright.jose.claims import actors_of
from sealwright.jose.strict_json import MAX_DEPTH
from sealwright.trust.dpop_nonces import NonceError

Outcome = Literal["accepted", "rejected", "undecided"]


class Verified(NamedTuple):
    """A token that passed every check of its issuer's policy."""

    issuer: str
    key_id: str | None
    algorithm: str
    claims: Mapping[str, Any]

    @property
    def subject(self) -> str | None:
        return self.claims.get("sub")

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(self.claims.get("scope", "").split())

    @property
    def actors(self) -> tuple[Mapping[str, Any], ...]:
        """Who acts for the subject, the current actor first (RFC 8693 §4.1); the others are history."""
        return actors_of(self.claims, MAX_DEPTH)  # the policy had its say about their number

    @property
    def actor(self) -> Mapping[str, Any] | None:
        """Who acts for the subject now: the only one of the actors that may count for a decision."""
        actors = self.actors
        return actors[0] if actors else None

    @property
    def confirmation(self) -> Mapping[str, str]:
        """What the caller proved to hold, each thumbprint by its member of "cnf"; empty for a bearer token."""
        bound: Mapping[str, str] = self.claims.get("cnf", {})
        return bound

    def __repr__(self) -> str:
        return f"Verified(issuer={self.issuer!r}, key_id={self.key_id!r}, algorithm={self.algorithm!r}, <claims>)"


@dataclass(frozen=True, slots=True)
class Step:
    """One check. ``reason`` is None where it passed."""

    check: str
    expected: str
    found: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of ``Verifier.decide``: exactly one of ``verified`` and ``error`` is set.

    ``steps`` are the checks in their order, where they were asked for; one that failed is the last. ``made`` is there
    for a decision that is remembered: what a caller makes of it lies there, by the caller, for as long as it counts.
    """

    outcome: Outcome
    verified: Verified | None = None
    error: SealwrightError | None = None
    steps: tuple[Step, ...] | None = None
    made: dict[object, Any] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def refused(cls, error: Exception, steps: tuple[Step, ...] | None = None) -> Self:
        """What an error means for a token. A fault of ours leaves it undecided: the door stays shut."""
        if isinstance(error, RejectedError):
            return cls("rejected", error=error, steps=steps)
        if not isinstance(error, UnavailableError):
            message = "the token could not be checked"
            fault = UnavailableError(Reason.SOURCE_UNAVAILABLE, message, detail=repr(type(error)))
            fault.__cause__ = error
            error = fault
        return cls("undecided", error=error, steps=steps)

    @property
    def accepted(self) -> bool:
        return self.verified is not None

    @property
    def reason(self) -> Reason | None:
        return self.error.reason if self.error else None

    def to_dict(self) -> dict[str, Any]:
        """The decision as JSON: what was verified, or the reason why not."""
        explained: dict[str, Any] = {} if self.steps is None else {"steps": [asdict(step) for step in self.steps]}
        if isinstance(self.error, NonceError):
            explained["dpop_nonce"] = self.error.nonce
        if self.verified is None:
            message = self.error.message if self.error else ""
            return {"outcome": self.outcome, "reason": self.reason, "message": message, **explained}
        seen = self.verified
        facts = {"issuer": seen.issuer, "key_id": seen.key_id, "algorithm": seen.algorithm}
        return {"outcome": self.outcome, "reason": None, **facts, "claims": dict(seen.claims), **explained}
