"""Claims a second of each replay store, beside what its bare driver does alone: ``python -m benchmarks.replay_stores``.

Redis and PostgreSQL are started on this machine, as the tests do; the ratio is what counts, not the rate.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from sealwright.trust.replay import ReplayStore
from sealwright.wiring.replay_stores import ReplayStoreOptions, open_replay_store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "components"))
CALLERS = (1, 16, 256)
SECONDS = 2.0
TTL_S = 300.0
Bare = Callable[[bytes], object]


def main() -> None:
    table = Table(title="Claims a second, and as a multiple of the bare driver with one caller")
    for heading in ("store", "bare", *(f"{callers} callers" for callers in CALLERS)):
        table.add_column(heading, justify="left" if heading == "store" else "right")
    for name, url, bare in _stores():
        alone = _rate_of(bare)
        with closing(open_replay_store(url, ReplayStoreOptions(timeout_s=10.0, capacity=10_000_000))) as store:
            rates = [asyncio.run(_rate(store, callers)) for callers in CALLERS]
        table.add_row(name, f"{alone:,.0f}", *(f"{rate:,.0f} ({rate / alone:.2f})" for rate in rates))
    Console().print(table)


def _stores() -> Iterator[tuple[str, str, Bare]]:
    from postgresql import DURABLE as SYNCHRONOUS
    from postgresql import Cluster
    from redis_server import DURABLE, RedisServer

    yield "memory", "memory:", {}.setdefault
    for name, settings in (("redis", {}), ("redis, fsync always", DURABLE)):
        with closing(RedisServer(settings | {"maxmemory": "1gb"})) as server:
            server.set_new()
            with redis.Redis(port=server.port, protocol=2) as client:
                yield name, server.url, lambda key, client=client: client.set(key, b"1", nx=True, px=300_000)
    with tempfile.TemporaryDirectory() as folder:
        yield "sqlite", f"sqlite:///{folder}/claims.db", _sqlite(Path(folder) / "bare.db")
    with closing(Cluster(SYNCHRONOUS)) as cluster:
        yield "postgresql", cluster.new_database(), _postgresql(cluster.new_database())


def _sqlite(file: Path) -> Bare:
    import sqlite3

    connection = sqlite3.connect(file, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        "CREATE TABLE c (k BLOB PRIMARY KEY, e INT)",
    ):
        connection.execute(statement)
    return lambda key: connection.execute("INSERT INTO c VALUES (?, 1) ON CONFLICT DO NOTHING", (key,)).rowcount


def _postgresql(url: str) -> Bare:
    import psycopg

    connection = psycopg.connect(url, autocommit=True)
    connection.execute("CREATE TABLE c (k bytea PRIMARY KEY, e bigint)")
    return lambda key: connection.execute("INSERT INTO c VALUES (%s, 1) ON CONFLICT DO NOTHING", (key,)).rowcount


def _rate_of(bare: Bare) -> float:
    count, until = 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        bare(secrets.token_bytes(16))
        count += 1
    return count / SECONDS


async def _rate(store: ReplayStore, callers: int) -> float:
    count, until = 0, time.monotonic() + SECONDS

    async def claim() -> None:
        nonlocal count
        while time.monotonic() < until:
            assert await store.aclaim(secrets.token_bytes(16), TTL_S)
            count += 1
            if store.figures().store == "memory":
                await asyncio.sleep(0)

    await asyncio.gather(*(claim() for _ in range(callers)))
    return count / SECONDS


if __name__ == "__main__":
    main()
