"""SqlReplayStore: a table of its own in SQLite, for the processes of one machine, or in PostgreSQL. No key catalog.

One INSERT decides, by the clock of the database. Entries that ended are deleted behind the answers, a few at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    LargeBinary,
    MetaData,
    Table,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import ConfigurationError, Reason
from sealwright.trust.replay import full
from sealwright.trust.stores.batches import Answer, Claim
from sealwright.trust.stores.fork_guard import ForkGuard
from sealwright.trust.stores.shared import SharedReplayStore

TIMEOUT_S, CAPACITY = 1.0, 1_000_000
COUNTED_ANEW_S = 60.0
_SWEPT_AT_ONCE = 64  # besides two for each claim, so that more go than come
_SWEPT_WHEN_FULL = 5_000

METADATA = MetaData()
CLAIMS = Table(
    "replay_claims",
    METADATA,
    Column("key", LargeBinary, primary_key=True),
    Column("ends_ms", BigInteger, nullable=False),  # since the epoch, by the clock of the database
    Index("replay_claims_ends", "ends_ms"),
)
_NOW = {
    "sqlite": "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
}
_CLAIM = """
INSERT INTO replay_claims (key, ends_ms) VALUES (:key, {now} + :ttl_ms)
ON CONFLICT (key) DO UPDATE SET ends_ms = excluded.ends_ms WHERE replay_claims.ends_ms <= {now} RETURNING key
"""
_CLAIM_MANY = """
INSERT INTO replay_claims (key, ends_ms)
SELECT key, {now} + ttl_ms FROM unnest(CAST(:keys AS bytea[]), CAST(:ttls AS bigint[])) AS asked (key, ttl_ms)
ON CONFLICT (key) DO UPDATE SET ends_ms = excluded.ends_ms WHERE replay_claims.ends_ms <= {now} RETURNING key
"""
_SWEEP = (
    "DELETE FROM replay_claims WHERE key IN (SELECT key FROM replay_claims WHERE ends_ms <= {now} LIMIT :most {skip})"
)
_GRACE_S = 0.5  # for the server to give up first
_TABLE_LOCK = 7_308_913_410_241_875_041  # while one of several processes makes the table


class SqlReplayStore(SharedReplayStore):
    """Full at ``capacity`` entries, those that ended and were not deleted yet included; several processes may pass it
    by what they add within a minute. Raises ConfigurationError ``settings.invalid`` for a URL that is none.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, capacity: int = CAPACITY) -> None:
        parsed = _parsed(url)
        self._count = _Count(capacity)
        kind = parsed.get_backend_name()
        super().__init__(kind, lambda: _SqlSender(parsed, timeout_s, self._count), timeout_s)

    def _entries(self) -> int | None:
        return self._count.entries


class _Count:
    """Entries, as they were counted last and as this process has changed them since."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.entries: int | None = None
        self.counted_at = 0.0


class _SqlSender:
    def __init__(self, url: URL, timeout_s: float, count: _Count) -> None:
        self._kind = url.get_backend_name()
        self._engine = _engine(url, timeout_s)
        self._count, self._sent = count, 0
        self._connection: Connection | None = None
        self._in_use = ForkGuard(self._drop) if self._kind == "sqlite" else nullcontext()
        now, skip = _NOW[self._kind], "FOR UPDATE SKIP LOCKED" if self._kind == "postgresql" else ""
        self._claim, self._claim_many = text(_CLAIM.format(now=now)), text(_CLAIM_MANY.format(now=now))
        self._sweep = text(_SWEEP.format(now=now, skip=skip))

    def send(self, claims: Sequence[Claim]) -> Sequence[Answer]:
        with self._in_use:
            return self._send(claims)

    def tidy(self) -> None:
        """Deletes more than came in, and many when there is no room."""
        with self._in_use:
            self._tidy()

    def close(self) -> None:
        with self._in_use:
            self._drop()
            self._engine.dispose()

    def _send(self, claims: Sequence[Claim]) -> Sequence[Answer]:
        connection = self._connected()
        if claims and self._is_full():
            return [full()] * len(claims)
        try:
            with connection.begin():
                won = Counter(self._insert(connection, claims))
        except Exception:
            self._drop()
            raise
        self._sent += len(claims)
        self._count.entries = (self._count.entries or 0) + len(won)
        return [_taken(won, claim.key) for claim in claims]

    def _tidy(self) -> None:
        connection = self._connected()
        most = _SWEPT_WHEN_FULL if self._is_full() else 2 * self._sent + _SWEPT_AT_ONCE
        try:
            with connection.begin():
                gone = connection.execute(self._sweep, {"most": most}).rowcount
            self._count.entries = max(0, (self._count.entries or 0) - gone)
            self._sent = 0
            if SYSTEM_CLOCK.monotonic() - self._count.counted_at > COUNTED_ANEW_S:
                self._recount(connection)
        except Exception:
            self._drop()
            raise

    def _insert(self, connection: Connection, claims: Sequence[Claim]) -> list[bytes]:
        """The keys that were claimed. Each is asked for once, and in one order, so that no two processes deadlock."""
        asked = {claim.key: claim.ttl_ms for claim in sorted(claims)}  # of several, the longest
        keys = sorted(asked)
        if self._kind == "postgresql":
            rows = connection.execute(self._claim_many, {"keys": keys, "ttls": [asked[key] for key in keys]})
            return [bytes(row.key) for row in rows]
        return [
            key
            for key in keys
            if connection.execute(self._claim, {"key": key, "ttl_ms": asked[key]}).first() is not None
        ]

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._engine.connect()
            try:
                self._make_table(connection)
                self._recount(connection)
            except Exception:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _make_table(self, connection: Connection) -> None:
        with connection.begin():
            if self._kind == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_TABLE_LOCK)))
            METADATA.create_all(connection)

    def _is_full(self) -> bool:
        return (self._count.entries or 0) >= self._count.capacity

    def _recount(self, connection: Connection) -> None:
        with connection.begin():
            self._count.entries = connection.execute(select(func.count()).select_from(CLAIMS)).scalar_one()
        self._count.counted_at = SYSTEM_CLOCK.monotonic()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _taken(won: Counter[bytes], key: bytes) -> bool:
    """One of those that asked for the same key in one batch was the first."""
    won[key] -= 1
    return won[key] == 0


def _engine(url: URL, timeout_s: float) -> Engine:
    if url.get_backend_name() == "postgresql":
        return _postgresql_engine(url, timeout_s)
    engine = create_engine(url, connect_args={"timeout": timeout_s}, pool_size=1)
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _postgresql_engine(url: URL, timeout_s: float) -> Engine:
    from sealwright.trust.stores.postgresql_session import connected  # its driver is an extra

    limit_ms = round(timeout_s * 1000)
    limits = f"-c statement_timeout={limit_ms} -c lock_timeout={limit_ms} -c synchronous_commit=on"
    ours = {"connect_timeout": 2, "application_name": "sealwright-replay", "target_session_attrs": "read-write"}

    def connect(_dialect: Any, _record: Any, _words: Any, given: dict[str, Any]) -> Any:
        options = f"{limits} {given.get('options', '')}".strip()
        return connected(timeout_s + _GRACE_S, {**ours, **given, "options": options})

    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level="READ COMMITTED",
        pool_size=1,
        use_native_hstore=False,
    )
    event.listen(engine, "do_connect", connect)
    return engine


def _on_sqlite_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):  # a claim that was answered outlives a power cut
        connection.execute(f"PRAGMA {pragma}").close()


def _on_sqlite_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _parsed(url: str) -> URL:
    """Only its kind is named in an error: it may hold a password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    wanted = ("sqlite", "postgresql")
    if parsed is None or parsed.drivername not in wanted or parsed.database in (None, "", ":memory:"):
        message = "a database of claims is sqlite:///FILE or postgresql://…"
        raise ConfigurationError(Reason.SETTINGS_INVALID, message) from None
    return parsed
