"""Asked: a request as its server saw it, in the one form that a Guard reads."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sealwright.trust.decision import Verified
from sealwright.trust.evidence import Evidence

KEPT = "sealwright.kept"  # where a scope or an environ keeps what was decided: a DPoP proof counts once


class Shown(NamedTuple):
    """A token, and what came with it."""

    token: str
    evidence: Evidence

    def __repr__(self) -> str:
        return "Shown(<token>)"


Kept = MutableMapping[Any, tuple[Shown, Verified]]  # by the guard that decided


@dataclass(frozen=True, slots=True)
class Asked:
    """``path`` is the one that the application sees, percent-encoded anew, so that both read it in the same way.

    ``target`` is the path as it stood in the request line. ``headers`` are all of them, one pair a line, ``peer`` is
    the address at the other end of the connection and ``peer_certificate`` (DER or PEM) what it proved to hold in TLS.
    """

    method: str
    path: str
    target: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    peer: str | None = None
    peer_certificate: bytes | None = field(default=None, repr=False)
    kept: Kept = field(default_factory=dict, repr=False)

    @property
    def authorization(self) -> str | None:
        """The first such header; more of them are refused."""
        return next((value for name, value in self.headers if name.lower() == "authorization"), None)
