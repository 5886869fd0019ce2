"""SQLite: one file, one process that writes to it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event

from sealwright.errors import ConfigurationError, Reason
from sealwright.keys.audit import MAIN_CHAIN
from sealwright.keys.catalogs.database import ANSWER_WITHIN_S
from sealwright.keys.turns import LocalTurns


class SqliteDatabase:
    """A Database of which this process is the one writer, whatever the folder is called that it was found by."""

    default_writer = MAIN_CHAIN
    version_every_s = None

    def __init__(self, url: URL) -> None:
        """Raises ConfigurationError ``settings.database_in_use``."""
        self._turns = LocalTurns()
        self._lock = _locked(Path(url.database)) if url.database not in (None, "", ":memory:") else None
        self.engine = create_engine(url, connect_args={"timeout": ANSWER_WITHIN_S})
        event.listen(self.engine, "connect", _on_connect)
        event.listen(self.engine, "begin", _on_begin)

    def claim_writer(self, wanted: str) -> str:
        return wanted

    def turn(self, name: str, wait_s: float) -> AbstractContextManager[None]:
        return self._turns.take(name, wait_s)

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    def share_key(self, connection: Connection, handle: str) -> None:
        """Nothing to do: who writes has the whole database."""

    def own_keys(self, connection: Connection, handles: Sequence[str]) -> None:
        """Nothing to do, likewise."""

    def close(self) -> None:
        self.engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(path: Path) -> int:
    """A lock on a file beside the database: on the database itself it would be in the way of SQLite's own."""
    beside = path.resolve().with_name(f"{path.resolve().name}.lock")
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigurationError(
            Reason.SETTINGS_DATABASE_IN_USE,
            f"another sealwright process writes to the database {path}: stop it first, name another file with "
            "SEALWRIGHT_DATABASE_URL, or share a PostgreSQL database",
        ) from error
    return descriptor


def _on_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _on_begin(connection: Connection) -> None:
    # A writer takes the lock before it reads: a transaction that began never fails half way.
    writes = connection.get_execution_options().get("writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
