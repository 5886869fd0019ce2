"""IssuerPolicy: what the keys of one issuer are, how they live, and who answers for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sealwright.keys.timings import KeyTimings

Approved = Literal["force", "destroy", "emergency", "revoke", "restore"]


@dataclass(frozen=True, slots=True)
class IssuerPolicy:
    """Algorithm and backend of new keys, timings, approvals and the people behind.

    ``approvals`` says how many other people must approve of an action; an action that is not named needs none.
    """

    algorithm: str = "ES256"
    backend: str = "local"
    timings: KeyTimings = field(default_factory=KeyTimings)
    approvals: Mapping[Approved, int] = field(default_factory=dict)
    delegated_x5c: bool = False  # whether such a key also has a certificate of the key that vouches for it
    delegated_lifetime_s: float = 0.0  # how long each short-lived software key signs that the key vouches for; 0: none
    owner: str = ""
    pager: str = ""
    runbook: str = ""


class Policies(Protocol):
    """The policy of each issuer, as it is now."""

    def of(self, issuer: str) -> IssuerPolicy: ...


class FixedPolicies:
    """Policies that never change: one for each named issuer, and one for all others."""

    def __init__(self, default: IssuerPolicy | None = None, named: Mapping[str, IssuerPolicy] | None = None) -> None:
        self._default = default or IssuerPolicy()
        self._named = dict(named or {})

    def of(self, issuer: str) -> IssuerPolicy:
        return self._named.get(issuer, self._default)
