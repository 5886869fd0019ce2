"""Database protocol: what SQLite and PostgreSQL do differently under one SqlCatalog."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from sqlalchemy import Connection, Engine

from sealwright.errors import Reason, RefusedError, UnavailableError

ANSWER_WITHIN_S = 5.0  # a database that needs longer counts as gone


class Database(Protocol):
    """An opened database and its locks. Raises driver errors, which SqlCatalog translates, unless it says otherwise."""

    @property
    def engine(self) -> Engine: ...

    @property
    def default_writer(self) -> str: ...

    @property
    def version_every_s(self) -> float | None:
        """How often the version is read; None where no other process writes."""
        ...

    def claim_writer(self, wanted: str) -> str:
        """The name of the chain that this process alone appends to while it lives: ``wanted``, or one like it."""
        ...

    def turn(self, name: str, wait_s: float) -> AbstractContextManager[None]:
        """Raises UnavailableError ``catalog.busy`` or ``catalog.unavailable``."""
        ...

    def migrating(self) -> AbstractContextManager[Connection]:
        """One transaction, without limits of time, in which no other process migrates."""
        ...

    def share_key(self, connection: Connection, handle: str) -> None:
        """Until the end of the transaction nobody changes this key; others may share it too."""
        ...

    def own_keys(self, connection: Connection, handles: Sequence[str]) -> None:
        """Waits for those who share these keys now; whoever comes later waits for the end of this transaction."""
        ...

    def close(self) -> None: ...


def conflict() -> RefusedError:
    return RefusedError(Reason.CATALOG_CONFLICT, "somebody else changed this key first: look again, then repeat")


def unavailable(error: Exception | None = None) -> UnavailableError:
    detail = type(error).__name__ if error is not None else None
    return UnavailableError(Reason.CATALOG_UNAVAILABLE, "the database cannot be read or written", detail=detail)


@contextmanager
def in_time(lock: threading.Lock) -> Iterator[None]:
    """A lock that is held while the database answers: who waits for it, waits for the database."""
    if not lock.acquire(timeout=ANSWER_WITHIN_S):
        raise unavailable()
    try:
        yield
    finally:
        lock.release()
