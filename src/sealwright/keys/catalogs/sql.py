"""Key records and audit in SQL: SQLite here, one writer process; every change is one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sealwright.errors import ConfigurationError, Reason, RefusedError, UnavailableError
from sealwright.keys.audit import GENESIS, AuditEntry, chained
from sealwright.keys.catalog import Change, Insert
from sealwright.keys.catalogs.sql_schema import migrate
from sealwright.keys.catalogs.sql_tables import (
    AUDIT,
    HEARTBEAT,
    KEYS,
    entry_of_row,
    record_of_row,
    row_of_entry,
    row_of_record,
)
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState

BUSY_TIMEOUT_MS = 5_000
_AUDIT_PAGE_ROWS = 1_000


class SqlCatalog:
    """A KeyCatalog behind SQLAlchemy Core. ``open`` migrates the schema forward."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._version_lock = threading.Lock()
        self._version = 0

    @classmethod
    def open(cls, url: str) -> Self:
        """Raises ConfigurationError ``settings.database``; a file that is no database of ours stays as it is."""
        try:
            return cls._opened(_engine(url))
        except Exception as error:
            raise ConfigurationError(
                Reason.SETTINGS_DATABASE,
                "the database cannot be opened: check that the file is the right one and can be written, "
                "or restore it from a backup",
                detail=type(error).__name__,
            ) from error

    @classmethod
    def _opened(cls, engine: Engine) -> Self:
        catalog = cls(engine)
        try:
            with engine.connect() as connection:
                migrate(connection)
            catalog.check_writable()
        except BaseException:
            catalog.close()
            raise
        return catalog

    def records(self, issuer: str | None = None) -> list[KeyRecord]:
        query = select(KEYS).order_by(KEYS.c.created_at, KEYS.c.handle)
        if issuer is not None:
            query = query.where(KEYS.c.issuer == issuer)
        with self._transaction() as connection:
            return [record_of_row(row) for row in connection.execute(query)]

    def commit(self, changes: Sequence[Change], entry: AuditEntry) -> None:
        with self._transaction(writes=True) as connection:
            # The index allows one active key at every moment, so the old one steps down first.
            for change in sorted(changes, key=lambda change: change.record.state is KeyState.ACTIVE):
                _apply(connection, change)
            _append(connection, entry)
        with self._version_lock:
            self._version += 1

    def record_signature(self, record: KeyRecord, entry: AuditEntry) -> None:
        still_active = (KEYS.c.handle == record.handle) & (KEYS.c.state == KeyState.ACTIVE.value)
        with self._transaction(writes=True) as connection:
            _check_one(connection.execute(update(KEYS).where(still_active).values(last_signed_at=entry.at)))
            _append(connection, entry)

    def version(self) -> int:
        return self._version

    def audit(self, *, after: int = 0) -> Iterator[AuditEntry]:
        while True:
            query = select(AUDIT).where(AUDIT.c.sequence > after).order_by(AUDIT.c.sequence).limit(_AUDIT_PAGE_ROWS)
            with self._transaction() as connection:
                page = [entry_of_row(row) for row in connection.execute(query)]
            yield from page
            if len(page) < _AUDIT_PAGE_ROWS:
                return
            after = page[-1].sequence

    def check_writable(self) -> None:
        with self._transaction(writes=True) as connection:
            connection.execute(select(AUDIT.c.sequence).limit(1))
            # Only a write that changes something, committed, notices a full or read-only disk.
            if not connection.execute(update(HEARTBEAT).values(beats=HEARTBEAT.c.beats + 1)).rowcount:
                connection.execute(insert(HEARTBEAT).values(beats=1))

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        try:
            with self._engine.connect().execution_options(writes=writes) as connection, connection.begin():
                yield connection
        except IntegrityError as error:
            raise _conflict() from error
        except SQLAlchemyError as error:
            message = "the database cannot be read or written"
            raise UnavailableError(Reason.CATALOG_UNAVAILABLE, message, detail=type(error).__name__) from error


def _engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # A writer takes the lock before it reads: a transaction that began never fails half way.
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _apply(connection: Connection, change: Change) -> None:
    row = row_of_record(change.record)
    if isinstance(change, Insert):
        connection.execute(insert(KEYS).values(row))
        return
    del row["last_signed_at"]  # only record_signature writes it: a signature may have come between
    expected = (KEYS.c.handle == row["handle"]) & (KEYS.c.generation == change.record.generation - 1)
    _check_one(connection.execute(update(KEYS).where(expected).values(row)))


def _append(connection: Connection, entry: AuditEntry) -> None:
    head = connection.execute(
        select(AUDIT.c.sequence, AUDIT.c.digest).order_by(AUDIT.c.sequence.desc()).limit(1)
    ).one_or_none()
    sequence, previous = (head.sequence, head.digest) if head else (0, GENESIS)
    connection.execute(insert(AUDIT).values(row_of_entry(chained(entry, sequence + 1, previous))))


def _check_one(result: Any) -> None:
    if result.rowcount != 1:
        raise _conflict()


def _conflict() -> RefusedError:
    return RefusedError(Reason.CATALOG_CONFLICT, "somebody else changed this key first: look again, then repeat")
