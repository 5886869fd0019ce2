"""ReplayStore protocol: what was presented before. One atomic claim for tokens, proofs and nonces alike."""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple, Protocol

from sealwright.errors import Reason, UnavailableError

KEY_BYTES = 16
LEARNED_NOTHING = "the store of what was presented before cannot be asked"


class StoreFigures(NamedTuple):
    """How a store is doing, as far as this process knows without asking it. ``evicted_unexpired`` must stay 0."""

    store: str
    entries: int | None
    errors: int
    evicted_unexpired: int


class ReplayStore(Protocol):
    """Shared by all who must not accept one thing twice. Usable from any thread, any event loop and after a fork."""

    def claim(self, key: bytes, ttl_s: float) -> bool:
        """True for exactly one caller while ``key`` lives, which is ``ttl_s`` from its first claim on.

        Raises UnavailableError ``replay.unavailable``, after which the key may be claimed or not, or ``replay.full``;
        ValueError for a lifetime that is not positive and finite.
        """
        ...

    async def aclaim(self, key: bytes, ttl_s: float) -> bool:
        """``claim`` for an event loop, which it never blocks."""
        ...

    def check(self) -> None:
        """Whether it can be relied on. Raises ConfigurationError when it never can as it is, or UnavailableError."""
        ...

    def figures(self) -> StoreFigures: ...

    def close(self) -> None:
        """Every later claim raises UnavailableError."""
        ...


def claim_key(*parts: str) -> bytes:
    """The key of what ``parts`` name together: a digest, each part behind its length since any text may be in one.

    For a token these are issuer, audiences, owner and jti: with the jti alone, one client could use up another's.
    """
    digest = hashlib.sha256()
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        digest.update(len(text).to_bytes(8))
        digest.update(text)
    return digest.digest()[:KEY_BYTES]


def whole_milliseconds(ttl_s: float) -> int:
    """Rounded up: an entry that ends too early lets something in twice. Raises ValueError."""
    if not 0 < ttl_s < math.inf:
        raise ValueError("an entry lives for a positive and finite time")
    return math.ceil(ttl_s * 1000)


def unavailable(message: str = LEARNED_NOTHING, detail: str | None = None) -> UnavailableError:
    return UnavailableError(Reason.REPLAY_UNAVAILABLE, message, detail=detail)


def full() -> UnavailableError:
    return UnavailableError(Reason.REPLAY_FULL, "there is no room to remember what was presented")
