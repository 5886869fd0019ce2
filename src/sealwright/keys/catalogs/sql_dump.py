"""All rows of a SQL catalog as JSON, and back: for backups, from one kind of database to another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Table, create_engine, delete, insert, make_url, select, update
from sqlalchemy.exc import SQLAlchemyError

from sealwright.errors import ConfigurationError, Reason, RefusedError
from sealwright.keys.audit import Head, follow, start_of
from sealwright.keys.catalogs import sql_tokens
from sealwright.keys.catalogs.sql_tables import (
    AUDIT,
    CATALOG,
    DOCUMENTS,
    KEYS,
    SIGNATURES,
    TOKENS,
    entry_of_row,
    record_of_row,
    row_of_record,
)
from sealwright.keys.record import KeyRecord
from sealwright.keys.restoring import VERSION_GAP, merged

Line = Mapping[str, Any]  # {"table": name, "row": {column: value}}
# The order in which a dump has them; the audit is last, since it is long and is checked while it is read.
_TABLES: Mapping[str, Table] = {table.name: table for table in (CATALOG, KEYS, SIGNATURES, DOCUMENTS, TOKENS, AUDIT)}


@dataclass(frozen=True, slots=True)
class Later:
    """What is known to have happened after a backup was made: revoked kids and since when, a version, and revoked
    tokens as their issuer and digest.
    """

    revoked: Mapping[str, float]
    version: int
    tokens: Collection[tuple[str, str]] = ()


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """One instant of a catalog that another process may be writing to. Raises ConfigurationError ``settings.database``.

    A schema that is not ours is no backup of ours: rows are read as the tables of this version have them.
    """
    engine = create_engine(make_url(url))
    try:
        with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        message = "the database cannot be read: start sealwright up of this version on it once, then back it up"
        raise ConfigurationError(Reason.SETTINGS_DATABASE, message, detail=type(error).__name__) from error
    finally:
        engine.dispose()


def dump(connection: Connection) -> Iterator[Line]:
    """Every row, streamed."""
    for name, table in _TABLES.items():
        rows = connection.execution_options(yield_per=1_000).execute(select(table).order_by(*table.primary_key))
        for row in rows:
            yield {"table": name, "row": row._asdict()}


def is_empty(connection: Connection) -> bool:
    return connection.execute(select(KEYS.c.handle).limit(1)).one_or_none() is None


def load(connection: Connection, lines: Iterable[Line], later: Later, now: float) -> list[KeyRecord]:
    """Bring a dump in, in the transaction of the caller; the records as they are afterwards.

    What is here already and later stays: see ``restoring.merged``. The version only grows. Raises RefusedError
    ``backup.malformed``, ``backup.other_history`` when the two have different audits, or RejectedError
    ``audit.broken``.
    """
    records: list[KeyRecord] = []
    for name, group in groupby(lines, key=lambda line: str(line.get("table"))):
        rows = _checked(name, group)
        if name == KEYS.name:
            records = _load_keys(connection, rows, later, now)
        elif name == AUDIT.name:
            _load_audit(connection, rows)
        elif name == CATALOG.name:
            _load_version(connection, max(int(row["version"]) for row in rows), later)
        else:
            _load_missing(connection, _TABLES[name], rows)
    sql_tokens.revoke_again(connection, later.tokens, now)
    return records


def _checked(name: str, lines: Iterable[Line]) -> Iterator[dict[str, Any]]:
    table = _TABLES.get(name)
    columns = {column.name for column in table.columns} if table is not None else set()
    for line in lines:
        row = line.get("row")
        if not isinstance(row, dict) or row.keys() != columns:
            raise RefusedError(Reason.BACKUP_MALFORMED, "the backup has a row that no table of this version has")
        yield row


def _load_keys(connection: Connection, rows: Iterable[Any], later: Later, now: float) -> list[KeyRecord]:
    current = [_record(row._asdict()) for row in connection.execute(select(KEYS))]
    records = merged(current, [_record(row) for row in rows], later.revoked, now)
    connection.execute(delete(KEYS))
    for record in records:
        connection.execute(insert(KEYS).values(row_of_record(record)))
    return records


def _record(row: Mapping[str, Any]) -> KeyRecord:
    return record_of_row({**row, "last_signed_at": None})


def _load_missing(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """A document, a time of signing or a token that is here is later than the one in the backup."""
    for row in rows:
        if table is TOKENS and sql_tokens.is_placed(connection, row):
            continue  # the one here was issued after the one in the backup was forgotten
        same = [column == row[column.name] for column in table.primary_key]
        if connection.execute(select(table).where(*same)).one_or_none() is None:
            connection.execute(insert(table).values(row))


def _load_version(connection: Connection, version: int, later: Later) -> None:
    here = connection.execute(select(CATALOG.c.version)).scalar_one()
    connection.execute(update(CATALOG).values(version=max(here, version, later.version) + VERSION_GAP))


def _load_audit(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    head: Head | None = None
    for row in rows:
        entry = entry_of_row(row)
        if head is None or head.writer != entry.writer:  # a chain whose beginning was archived starts later
            head = (
                Head(entry.writer, entry.sequence - 1, entry.previous) if entry.sequence > 1 else start_of(entry.writer)
            )
        head = follow(head, entry)
        same = (AUDIT.c.writer == entry.writer, AUDIT.c.sequence == entry.sequence)
        digest = connection.execute(select(AUDIT.c.digest).where(*same)).scalar()
        if digest is None:
            connection.execute(insert(AUDIT).values(row))
        elif digest != entry.digest:
            message = "the audit here and the one in the backup differ: restore into an empty data folder or database"
            raise RefusedError(Reason.BACKUP_OTHER_HISTORY, message)
