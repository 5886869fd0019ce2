"""Flight: one fetch that every waiting caller shares, sync or async."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from sealwright.errors import Reason, UnavailableError
from sealwright.trust.key_snapshot import FetchedKeys, KeySnapshot

Cause = Literal["cold", "ahead", "expired", "unknown_kid", "asked"]
Fetch = Callable[[KeySnapshot | None], FetchedKeys]  # takes what is held; raises UnavailableError


@dataclass(frozen=True, slots=True)
class Flight:
    """One fetch. ``landed`` gives None when it brought an answer, else why it did not."""

    number: int
    cause: Cause
    landed: Future[UnavailableError | None]
    _asked: Iterator[int] = field(default_factory=count, repr=False)

    def is_mine(self) -> bool:
        """True for the first who asks, who has to fly it where no thread does."""
        return next(self._asked) == 0  # one call of the interpreter, so that no two get the same


def attempt(fetch: Fetch, held: KeySnapshot | None) -> FetchedKeys | UnavailableError:
    """Run one fetch."""
    try:
        return fetch(held)
    except UnavailableError as error:
        return without_frames(error)
    except Exception as error:  # noqa: BLE001 - a bug in a fetcher must not end the thread or strand the callers
        failure = unavailable("the key source could not be read")
        failure.__cause__ = error
        return without_frames(failure)


def unavailable(message: str, detail: str | None = None) -> UnavailableError:
    return UnavailableError(Reason.SOURCE_UNAVAILABLE, message, detail=detail)


def malformed(message: str, detail: str | None = None) -> UnavailableError:
    return UnavailableError(Reason.SOURCE_MALFORMED, message, detail=detail)


def without_frames(failure: UnavailableError) -> UnavailableError:
    """Frames of the fetching thread would keep its cache alive, in a cycle that only the collector ends."""
    chain: list[BaseException] = [failure]
    for error in chain:
        error.__traceback__ = None
        chain.extend(e for e in (error.__cause__, error.__context__) if e is not None and e not in chain)
    return failure
