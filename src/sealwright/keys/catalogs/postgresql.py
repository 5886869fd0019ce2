"""PostgreSQL: several processes share the keys, and none waits for another except for a key that changes."""

from __future__ import annotations

import hashlib
import itertools
import math
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, cast

import psycopg
from sqlalchemy import URL, Connection, create_engine, event

from sealwright.keys.catalogs.database import ANSWER_WITHIN_S, unavailable
from sealwright.keys.catalogs.postgresql_session import Session, connect_arguments
from sealwright.keys.turns import SharedTurns, busy

POOLED, POOLED_AT_MOST = 5, 20
_OWN = "SELECT pg_advisory_xact_lock(%s)"
_SHARE = "SELECT pg_advisory_xact_lock_shared(%s)"


class PostgresqlDatabase:
    """A Database for any number of processes.

    Keys are fenced by advisory locks and not by locks on their rows: PostgreSQL lets whoever shares a row pass those
    who wait to change it, so that under load an emergency would wait for ever. Advisory locks are first come, first
    served.
    """

    version_age_s = 0.5

    def __init__(self, url: URL) -> None:
        self._turns = SharedTurns(self._take_shared)
        self._writer: tuple[str, Session] | None = None
        self.engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            isolation_level="READ COMMITTED",  # a statement after a lock sees what was committed before it
            pool_size=POOLED,
            max_overflow=POOLED_AT_MOST - POOLED,
            pool_timeout=ANSWER_WITHIN_S,
            use_native_hstore=False,
        )
        event.listen(self.engine, "do_connect", _connect)

    @property
    def default_writer(self) -> str:
        return socket.gethostname()

    def claim_writer(self, wanted: str) -> str:
        """A lock that lasts as long as the session: a process that dies leaves its name to its successor."""
        if self._writer is not None:
            name, session = self._writer
            try:
                session.execute("SELECT 1")
                return name
            except psycopg.Error:
                session.close()
        session = self._session()
        for number in itertools.count(1):
            name = wanted if number == 1 else f"{wanted}-{number}"
            if _answer(session, "SELECT pg_try_advisory_lock(%s)", _lock_of("writer", name)):
                self._writer = name, session
                return name
        raise AssertionError("unreachable")

    def turn(self, name: str, wait_s: float) -> AbstractContextManager[None]:
        return self._turns.take(name, wait_s)

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            connection.detach()  # its limits are not those of the others
            cast(Session, connection.connection.dbapi_connection).answer_within_s = None
            with connection.begin():
                for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                    connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
                connection.exec_driver_sql(_OWN, (_lock_of("migration", ""),))
                yield connection

    def share_key(self, connection: Connection, handle: str) -> None:
        connection.exec_driver_sql(_SHARE, (_lock_of("key", handle),))

    def own_keys(self, connection: Connection, handles: Sequence[str]) -> None:
        for lock in sorted(_lock_of("key", handle) for handle in handles):
            connection.exec_driver_sql(_OWN, (lock,))

    def close(self) -> None:
        if self._writer is not None:
            self._writer[1].close()
        self.engine.dispose()

    @contextmanager
    def _take_shared(self, name: str, wait_s: float) -> Iterator[None]:
        try:
            session = self._session(wait_s)
        except psycopg.Error as error:
            raise unavailable(error) from error
        with closing(session):
            if not _taken(session, _lock_of("turn", name), wait_s):
                raise busy()
            yield

    def _session(self, wait_s: float = 0.0) -> Session:
        """A session of its own, outside of the pool, that may wait for one lock for so long."""
        url = self.engine.url
        _, arguments = self.engine.dialect.create_connect_args(url)
        session = Session.connect(**connect_arguments(arguments), autocommit=True)
        session.answer_within_s = ANSWER_WITHIN_S + wait_s
        session.execute("SET statement_timeout = 0")
        session.execute(f"SET lock_timeout = {max(1, math.ceil(wait_s * 1000))}")
        return session


def _connect(_dialect: Any, _record: Any, arguments: Sequence[Any], named: dict[str, Any]) -> Session:
    return Session.connect(*arguments, **connect_arguments(named))


def _taken(session: Session, lock: int, wait_s: float) -> bool:
    try:
        if wait_s <= 0:
            return bool(_answer(session, "SELECT pg_try_advisory_lock(%s)", lock))
        _answer(session, "SELECT pg_advisory_lock(%s)", lock)
    except psycopg.errors.LockNotAvailable:
        return False
    except psycopg.Error as error:
        raise unavailable(error) from error
    return True


def _answer(session: Session, query: Any, lock: int) -> Any:
    row = session.execute(query, (lock,)).fetchone()
    return row[0] if row else None


def _lock_of(kind: str, name: str) -> int:
    """Advisory locks are 64-bit numbers, shared by everything in one database."""
    digest = hashlib.sha256(f"sealwright {kind} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
