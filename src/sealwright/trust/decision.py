"""Decision: accepted, rejected or undecided, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from sealwright.errors import Reason, SealwrightError


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
    """The answer of ``Verifier.decide``: exactly one of ``verified`` and ``error`` is set."""

    outcome: Literal["accepted", "rejected", "undecided"]
    verified: Verified | None = None
    error: SealwrightError | None = None

    @property
    def accepted(self) -> bool:
        return self.verified is not None

    @property
    def reason(self) -> Reason | None:
        return self.error.reason if self.error else None

    def to_dict(self, steps: Sequence[Step] | None = None) -> dict[str, Any]:
        """The decision as JSON: what was verified, or the reason why not; and ``steps`` where they were asked for."""
        explained = {} if steps is None else {"steps": [asdict(step) for step in steps]}
        if self.verified is None:
            message = self.error.message if self.error else ""
            return {"outcome": self.outcome, "reason": self.reason, "message": message, **explained}
        seen = self.verified
        facts = {"issuer": seen.issuer, "key_id": seen.key_id, "algorithm": seen.algorithm}
        return {"outcome": self.outcome, "reason": None, **facts, "claims": dict(seen.claims), **explained}
