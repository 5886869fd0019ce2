"""RevocationList protocol: is this key, or this token, withdrawn?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sealwright.errors import Reason


class RevocationList(Protocol):
    """What was withdrawn before its time. Reading it does no I/O.

    Raises UnavailableError when what it knows is too old to decide by.
    """

    def key_revoked(self, issuer: str, key_id: str) -> bool: ...

    def token_revoked(self, issuer: str, token_id: str) -> bool:
        """Whether this one token of the issuer was revoked, by its "jti"."""
        ...


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How a feed is doing. ``age_s`` is the time since the last fetch that succeeded; None for never."""

    sequence: int | None
    age_s: float | None
    current: bool
    revoked: int
    last_error: Reason | None


@runtime_checkable
class ReportingList(RevocationList, Protocol):
    """A RevocationList that says how the feed of each issuer is doing, which costs no I/O."""

    def status(self) -> Mapping[str, FeedStatus]: ...
