"""Key records, documents and audit in SQL: SQLite for one process, PostgreSQL for many; a change is a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Self

from sqlalchemy import Connection, func, insert, make_url, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from sealwright.errors import ConfigurationError, Reason, RefusedError, SealwrightError, UnavailableError
from sealwright.keys.audit import AuditEntry, Chain, Head
from sealwright.keys.catalog import Change, Document
from sealwright.keys.catalogs import sql_audit, sql_dump, sql_tokens
from sealwright.keys.catalogs.database import Database, conflict, unavailable
from sealwright.keys.catalogs.sql_audit import OwnChain
from sealwright.keys.catalogs.sql_changes import apply, replaced_handles
from sealwright.keys.catalogs.sql_dump import Later, Line
from sealwright.keys.catalogs.sql_fleet import SqlFleet
from sealwright.keys.catalogs.sql_schema import migrate
from sealwright.keys.catalogs.sql_tables import (
    AUDIT,
    CATALOG,
    DOCUMENTS,
    KEYS,
    SIGNATURES,
    document_of_row,
    record_of_row,
)
from sealwright.keys.catalogs.version_watch import VersionWatch
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState
from sealwright.keys.token_status import TokenStatus

POSTGRESQL = ("postgresql", "postgresql+psycopg")
SILENCE_S = 1.0  # a failure that took longer was silence


class SqlCatalog:
    """A KeyCatalog behind SQLAlchemy Core. ``open`` migrates the schema forward."""

    def __init__(self, database: Database, writer: str | None = None) -> None:
        self._database = database
        with database.migrating() as connection:
            migrate(connection)
        self._chain = OwnChain(database, writer or database.default_writer)
        self.check_writable()
        self._watch = VersionWatch(self._read_version, database.version_every_s)

    @classmethod
    def open(cls, url: str, *, writer: str | None = None) -> Self:
        """``writer`` names the audit chain of this process.

        Raises ConfigurationError ``settings.database``, after which a file that is no database of ours is as it was,
        ConfigurationError ``settings.database_in_use``, or UnavailableError ``catalog.unavailable`` when a server does
        not answer.
        """
        try:
            database = _database(url)
            try:
                return cls(database, writer)
            except BaseException:
                database.close()
                raise
        except SealwrightError:
            raise
        except Exception as error:
            raise _unopened(url, error) from error

    @property
    def writer(self) -> str:
        return self._chain.writer

    @property
    def fleet(self) -> SqlFleet:
        """What verifiers report, in the same database."""
        return SqlFleet(self._transaction)

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
            return [record_of_row(row._asdict()) for row in connection.execute(query)]

    def documents(self, kind: str) -> dict[str, Document]:
        query = select(DOCUMENTS).where(DOCUMENTS.c.kind == kind).order_by(DOCUMENTS.c.name)
        with self._transaction() as connection:
            return {row.name: document_of_row(row) for row in connection.execute(query)}

    def document(self, kind: str, name: str) -> Document | None:
        query = select(DOCUMENTS).where(DOCUMENTS.c.kind == kind, DOCUMENTS.c.name == name)
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else document_of_row(row)

    def marked_tokens(self, after: int | None = None) -> list[TokenStatus]:
        with self._transaction() as connection:
            return sql_tokens.marked(connection, after)

    def token(self, issuer: str, digest: str) -> TokenStatus | None:
        with self._transaction() as connection:
            return sql_tokens.find(connection, issuer, digest)

    def reserve(self, tokens: Sequence[TokenStatus]) -> list[TokenStatus]:
        with self._transaction(writes=True) as connection:
            return sql_tokens.reserve(connection, tokens)

    def forget_tokens(self, now: float) -> int:
        with self._transaction(writes=True) as connection:
            return sql_tokens.forget(connection, now)

    def commit(self, changes: Sequence[Change], entry: AuditEntry) -> None:
        with self._chain.appending(), self._transaction(writes=True) as connection:
            connection.execute(update(CATALOG).values(version=CATALOG.c.version + 1))
            self._database.own_keys(connection, replaced_handles(changes))
            apply(connection, changes)
            self._chain.append(connection, entry)
            version = connection.execute(select(CATALOG.c.version)).scalar_one()
        self._watch.seen(version)

    def record_signatures(self, record: KeyRecord, entry: AuditEntry) -> None:
        still = (KEYS.c.handle == record.handle) & (KEYS.c.state == KeyState.ACTIVE.value)
        with self._chain.appending(), self._transaction(writes=True) as connection:
            self._database.share_key(connection, record.handle)
            if connection.execute(select(KEYS.c.generation).where(still)).scalar() != record.generation:
                raise conflict()
            self._note_signing(connection, record.handle, entry.at)
            self._chain.append(connection, entry)

    def version(self) -> int:
        return self._watch.version()

    def confirmed_age_s(self) -> float:
        return self._watch.age_s()

    def turn(self, name: str, *, wait_s: float = 30.0) -> AbstractContextManager[None]:
        return self._database.turn(name, wait_s)

    def writers(self) -> list[str]:
        return [chain.head.writer for chain in self.chains()]

    def chains(self) -> list[Chain]:
        with self._transaction() as connection:
            return sql_audit.chains(connection)

    def audit(self, *, writer: str | None = None, after: int = 0, action: str | None = None) -> Iterator[AuditEntry]:
        for name in self.writers() if writer is None else [writer]:
            yield from self._entries(name, after, action)

    def prune_audit(self, upto: Head, *, most: int) -> int:
        try:
            with self._transaction(writes=True) as connection:
                return sql_audit.prune(connection, upto, most)
        except UnavailableError as error:
            if not isinstance(error.__cause__, ProgrammingError):
                raise
            message = "this database role may not delete audit entries: prune with a role that may"
            raise UnavailableError(Reason.CATALOG_UNAVAILABLE, message) from error

    def restore(self, lines: Iterable[Line], later: Later | None, entry: AuditEntry) -> list[KeyRecord]:
        """Bring a dump in with its audit entry; the records as they are afterwards. No other process may be at work.

        ``later`` is None when nothing is known but what is here. Raises as ``sql_dump.load``, and RefusedError
        ``guard.later_revocations`` when nothing is here either.
        """
        with self._chain.appending(), self._transaction(writes=True) as connection:
            if later is None and sql_dump.is_empty(connection):
                message = "a key that was revoked after this backup would come back: give the latest feed with --feed"
                raise RefusedError(Reason.GUARD_LATER_REVOCATIONS, f"{message}, or --force with a --reason")
            records = sql_dump.load(connection, lines, later or Later({}, 0), entry.at)
            self._chain.append(connection, entry)
        self._watch.ask()
        return records

    def check_writable(self) -> None:
        with self._transaction(writes=True) as connection:
            connection.execute(select(AUDIT.c.sequence).limit(1))
            # Only a write that changes something, committed, notices a full or read-only disk.
            connection.execute(update(CATALOG).values(beats=CATALOG.c.beats + 1))

    def close(self) -> None:
        self._watch.close()
        self._database.close()

    def _entries(self, writer: str, after: int, action: str | None) -> Iterator[AuditEntry]:
        while True:
            with self._transaction() as connection:
                page = sql_audit.page(connection, writer, after, action)
            yield from page
            if len(page) < sql_audit.PAGE_ROWS:
                return
            after = page[-1].sequence

    def _note_signing(self, connection: Connection, handle: str, at: float) -> None:
        mine = (SIGNATURES.c.handle == handle) & (SIGNATURES.c.writer == self.writer)
        if not connection.execute(update(SIGNATURES).where(mine).values(last_signed_at=at)).rowcount:
            row = {"handle": handle, "writer": self.writer, "last_signed_at": at}
            connection.execute(insert(SIGNATURES).values(row))

    def _read_version(self) -> int:
        with self._transaction() as connection:
            version: int = connection.execute(select(CATALOG.c.version)).scalar_one()
        return version

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        try:
            with self._database.engine.connect().execution_options(writes=writes) as connection, connection.begin():
                yield connection
        except IntegrityError as error:
            raise conflict() from error
        except SQLAlchemyError as error:
            raise unavailable(error) from error


def _database(url: str) -> Database:
    parsed = make_url(url)
    if parsed.drivername in POSTGRESQL:
        from sealwright.keys.catalogs.postgresql import PostgresqlDatabase  # its driver is an extra

        return PostgresqlDatabase(parsed)
    if parsed.get_backend_name() == "sqlite":
        from sealwright.keys.catalogs.sqlite import SqliteDatabase

        return SqliteDatabase(parsed)
    raise ValueError("neither sqlite nor postgresql")


def _unopened(url: str, error: Exception) -> SealwrightError:
    detail = type(error).__name__
    if url.startswith(POSTGRESQL) and isinstance(error, OperationalError):
        message = "the database server does not answer, or refuses us: check SEALWRIGHT_DATABASE_URL, then try again"
        return UnavailableError(Reason.CATALOG_UNAVAILABLE, message, detail=detail)
    return ConfigurationError(
        Reason.SETTINGS_DATABASE,
        "the database cannot be opened: check that it is the right one and can be written, or restore it from a backup",
        detail=detail,
    )
