"""Key records, documents and audit in SQL: SQLite here, one writer process; every change is one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sealwright.errors import ConfigurationError, Reason, RefusedError, UnavailableError
from sealwright.keys.audit import GENESIS, MAIN_CHAIN, AuditEntry, chained
from sealwright.keys.catalog import Change, Document, Insert, Put, Remove, Replace
from sealwright.keys.catalogs.sql_schema import migrate
from sealwright.keys.catalogs.sql_tables import (
    AUDIT,
    CATALOG,
    DOCUMENTS,
    KEYS,
    SIGNATURES,
    document_of_row,
    entry_of_row,
    record_of_row,
    row_of_document,
    row_of_entry,
    row_of_record,
)
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState
from sealwright.keys.turns import LocalTurns

BUSY_TIMEOUT_MS = 5_000
_AUDIT_PAGE_ROWS = 1_000


class SqlCatalog:
    """A KeyCatalog behind SQLAlchemy Core. ``open`` migrates the schema forward."""

    def __init__(self, engine: Engine, writer: str) -> None:
        self.writer = writer
        self._engine = engine
        self._turns = LocalTurns()
        self._version_lock = threading.Lock()
        self._version = 0

    @classmethod
    def open(cls, url: str, *, writer: str = MAIN_CHAIN) -> Self:
        """Raises ConfigurationError ``settings.database``; a file that is no database of ours stays as it is."""
        try:
            return cls._opened(_engine(url), writer)
        except Exception as error:
            raise ConfigurationError(
                Reason.SETTINGS_DATABASE,
                "the database cannot be opened: check that the file is the right one and can be written, "
                "or restore it from a backup",
                detail=type(error).__name__,
            ) from error

    @classmethod
    def _opened(cls, engine: Engine, writer: str) -> Self:
        catalog = cls(engine, writer)
        try:
            with engine.connect() as connection:
                migrate(connection)
            catalog.check_writable()
            with engine.connect() as connection:
                catalog._version = connection.execute(select(CATALOG.c.version)).scalar_one()
        except BaseException:
            catalog.close()
            raise
        return catalog

    def records(self, issuer: str | None = None) -> list[KeyRecord]:
        signed = select(SIGNATURES.c.handle, func.max(SIGNATURES.c.last_signed_at).label("last_signed_at"))
        latest = signed.group_by(SIGNATURES.c.handle).subquery()
        query = (
            select(KEYS, latest.c.last_signed_at)
            .outerjoin(latest, latest.c.handle == KEYS.c.handle)
            .order_by(KEYS.c.created_at, KEYS.c.handle)
        )
        if issuer is not None:
            query = query.where(KEYS.c.issuer == issuer)
        with self._transaction() as connection:
            return [record_of_row(row) for row in connection.execute(query)]

    def documents(self, kind: str) -> dict[str, Document]:
        query = select(DOCUMENTS).where(DOCUMENTS.c.kind == kind).order_by(DOCUMENTS.c.name)
        with self._transaction() as connection:
            return {row.name: document_of_row(row) for row in connection.execute(query)}

    def commit(self, changes: Sequence[Change], entry: AuditEntry) -> None:
        with self._transaction(writes=True) as connection:
            connection.execute(update(CATALOG).values(version=CATALOG.c.version + 1))
            # The indexes hold at every moment, so an active key steps down before the next, and a standby before that.
            for change in sorted(changes, key=_order):
                _apply(connection, change)
            _append(connection, self.writer, entry)
            version = connection.execute(select(CATALOG.c.version)).scalar_one()
        with self._version_lock:
            self._version = max(self._version, version)

    def record_signatures(self, record: KeyRecord, entry: AuditEntry) -> None:
        mine = (SIGNATURES.c.handle == record.handle) & (SIGNATURES.c.writer == self.writer)
        still = (KEYS.c.handle == record.handle) & (KEYS.c.state == KeyState.ACTIVE.value)
        with self._transaction(writes=True) as connection:
            if connection.execute(select(KEYS.c.generation).where(still)).scalar() != record.generation:
                raise _conflict()
            if not connection.execute(update(SIGNATURES).where(mine).values(last_signed_at=entry.at)).rowcount:
                row = {"handle": record.handle, "writer": self.writer, "last_signed_at": entry.at}
                connection.execute(insert(SIGNATURES).values(row))
            _append(connection, self.writer, entry)

    def version(self) -> int:
        return self._version

    def turn(self, name: str, *, wait_s: float = 30.0) -> AbstractContextManager[None]:
        return self._turns.take(name, wait_s)

    def writers(self) -> list[str]:
        with self._transaction() as connection:
            return sorted(connection.execute(select(AUDIT.c.writer).distinct()).scalars())

    def audit(self, *, writer: str | None = None, after: int = 0) -> Iterator[AuditEntry]:
        for name in self.writers() if writer is None else [writer]:
            yield from self._chain(name, after)

    def check_writable(self) -> None:
        with self._transaction(writes=True) as connection:
            connection.execute(select(AUDIT.c.sequence).limit(1))
            # Only a write that changes something, committed, notices a full or read-only disk.
            connection.execute(update(CATALOG).values(beats=CATALOG.c.beats + 1))

    def close(self) -> None:
        self._engine.dispose()

    def _chain(self, writer: str, after: int) -> Iterator[AuditEntry]:
        chain = select(AUDIT).where(AUDIT.c.writer == writer).order_by(AUDIT.c.sequence).limit(_AUDIT_PAGE_ROWS)
        while True:
            with self._transaction() as connection:
                page = [entry_of_row(row) for row in connection.execute(chain.where(AUDIT.c.sequence > after))]
            yield from page
            if len(page) < _AUDIT_PAGE_ROWS:
                return
            after = page[-1].sequence

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


def _order(change: Change) -> int:
    if not isinstance(change, Insert | Replace):
        return 0
    return {KeyState.STANDBY: 3, KeyState.ACTIVE: 2}.get(change.record.state, 1)


def _apply(connection: Connection, change: Change) -> None:
    if isinstance(change, Put | Remove):
        _write(connection, change)
        return
    row = row_of_record(change.record)
    if isinstance(change, Insert):
        connection.execute(insert(KEYS).values(row))
        return
    expected = (KEYS.c.handle == row["handle"]) & (KEYS.c.generation == change.record.generation - 1)
    _check_one(connection.execute(update(KEYS).where(expected).values(row)))


def _write(connection: Connection, change: Put | Remove) -> None:
    row = row_of_document(change.document)
    of_it = (DOCUMENTS.c.kind == row["kind"]) & (DOCUMENTS.c.name == row["name"])
    if isinstance(change, Remove):
        _check_one(connection.execute(delete(DOCUMENTS).where(of_it, DOCUMENTS.c.generation == row["generation"])))
    elif row["generation"] == 1:
        connection.execute(insert(DOCUMENTS).values(row))
    else:
        before = DOCUMENTS.c.generation == row["generation"] - 1
        _check_one(connection.execute(update(DOCUMENTS).where(of_it, before).values(row)))


def _append(connection: Connection, writer: str, entry: AuditEntry) -> None:
    chain = select(AUDIT.c.sequence, AUDIT.c.digest).where(AUDIT.c.writer == writer)
    head = connection.execute(chain.order_by(AUDIT.c.sequence.desc()).limit(1)).one_or_none()
    sequence, previous = (head.sequence, head.digest) if head else (0, GENESIS)
    connection.execute(insert(AUDIT).values(row_of_entry(chained(entry, writer, sequence + 1, previous))))


def _check_one(result: Any) -> None:
    if result.rowcount != 1:
        raise _conflict()


def _conflict() -> RefusedError:
    return RefusedError(Reason.CATALOG_CONFLICT, "somebody else changed this key first: look again, then repeat")
