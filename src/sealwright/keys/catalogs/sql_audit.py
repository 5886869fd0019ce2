"""Audit chains in SQL: the one that this process appends to, and reading and pruning all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, delete, func, insert, select

from sealwright.keys.audit import AuditEntry, Chain, Head, chained, head_of, start_of
from sealwright.keys.catalogs.database import Database, conflict, in_time
from sealwright.keys.catalogs.sql_tables import AUDIT, entry_of_row, row_of_entry

PAGE_ROWS = 1_000


class OwnChain:
    """The chain of this process. Its head is remembered, and advances when a transaction is committed, never before."""

    def __init__(self, database: Database, wanted: str) -> None:
        self.writer = database.claim_writer(wanted)
        self._database = database
        self._wanted = wanted
        self._lock = threading.Lock()
        self._head: Head | None = None
        self._next: Head | None = None

    @contextmanager
    def appending(self) -> Iterator[None]:
        """Around the transaction. After an error nobody knows what was committed: the next one looks."""
        with in_time(self._lock):
            try:
                if self._head is None:
                    self.writer = self._database.claim_writer(self._wanted)
                yield
                self._head = self._next
            except BaseException:
                self._head = None
                raise

    def append(self, connection: Connection, entry: AuditEntry) -> None:
        head = self._head or last(connection, self.writer) or start_of(self.writer)
        placed = chained(entry, self.writer, head.sequence + 1, head.digest)
        connection.execute(insert(AUDIT).values(row_of_entry(placed)))
        self._next = head_of(placed)


def last(connection: Connection, writer: str) -> Head | None:
    query = select(AUDIT.c.writer, AUDIT.c.sequence, AUDIT.c.digest).where(AUDIT.c.writer == writer)
    row = connection.execute(query.order_by(AUDIT.c.sequence.desc()).limit(1)).one_or_none()
    return Head(*row) if row else None


def chains(connection: Connection) -> list[Chain]:
    """A few steps along the primary key for each chain, however long they are."""
    found: list[Chain] = []
    query = select(AUDIT.c.writer, AUDIT.c.sequence, AUDIT.c.previous).order_by(AUDIT.c.writer, AUDIT.c.sequence)
    row = connection.execute(query.limit(1)).one_or_none()
    while row is not None:
        head = last(connection, row.writer)
        assert head is not None
        found.append(Chain(Head(row.writer, row.sequence - 1, row.previous), head))
        row = connection.execute(query.where(AUDIT.c.writer > row.writer).limit(1)).one_or_none()
    return sorted(found, key=lambda chain: chain.head.writer)


def page(connection: Connection, writer: str, after: int, action: str | None) -> list[AuditEntry]:
    query = select(AUDIT).where(AUDIT.c.writer == writer, AUDIT.c.sequence > after).order_by(AUDIT.c.sequence)
    if action is not None:
        query = query.where(AUDIT.c.action == action)
    return [entry_of_row(row._asdict()) for row in connection.execute(query.limit(PAGE_ROWS))]


def prune(connection: Connection, upto: Head, most: int) -> int:
    mine = AUDIT.c.writer == upto.writer
    named = select(AUDIT.c.digest).where(mine, AUDIT.c.sequence == upto.sequence)
    head = last(connection, upto.writer)
    if connection.execute(named).scalar() != upto.digest or head is None or head.sequence == upto.sequence:
        raise conflict()
    first = connection.execute(select(func.min(AUDIT.c.sequence)).where(mine)).scalar_one()
    end = min(upto.sequence, first + most - 1)
    return connection.execute(delete(AUDIT).where(mine, AUDIT.c.sequence <= end)).rowcount
