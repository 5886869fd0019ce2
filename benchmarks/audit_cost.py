"""What the audit costs a signature: the same signer without a durable audit, on SQLite and on PostgreSQL (fsync on)."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sealwright.keys.backends.memory import MemoryBackend
from sealwright.keys.catalogs.memory import MemoryCatalog
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.managed_signer import ManagedSigner

SECONDS, ROUNDS = 2.0, 3


def rate(catalog: Any, threads: int) -> float:
    """Signatures a second of all threads together."""
    backends = {"local": MemoryBackend()}
    if not catalog.records():
        KeyLifecycle(catalog, backends).open_issuer("default", actor="bench", reason="bench", algorithm="Ed25519")
        backends_of[id(catalog)] = backends
    signer = ManagedSigner(catalog, backends_of[id(catalog)], "default")
    counts = [0] * threads
    end = time.monotonic() + SECONDS

    def sign(number: int) -> None:
        while time.monotonic() < end:
            signer.sign(b"{}", typ="bench+jws", actor="bench")
            counts[number] += 1

    running = [threading.Thread(target=sign, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / SECONDS


backends_of: dict[int, dict[str, Any]] = {}


@contextlib.contextmanager
def catalogs() -> Iterator[dict[str, Any]]:
    sys.path.insert(0, "tests/components")
    from postgresql import DURABLE, Cluster

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = Cluster(DURABLE)
        stack.callback(cluster.close)
        sql = {
            "SQLite, WAL, synchronous=FULL": f"sqlite:///{folder / 'catalog.db'}",
            "PostgreSQL, fsync on, loopback": cluster.new_database(),
        }
        opened = {name: stack.enter_context(contextlib.closing(SqlCatalog.open(url))) for name, url in sql.items()}
        yield {"in memory: nothing is durable": MemoryCatalog(), **opened}


def main() -> None:
    with catalogs() as measured:
        for name, catalog in measured.items():
            best = {threads: max(rate(catalog, threads) for _ in range(ROUNDS)) for threads in (1, 8)}
            print(f"{name:34} {best[1]:8.0f}/s with 1 thread {best[8]:8.0f}/s with 8")


if __name__ == "__main__":
    main()
