"""Every implementation of each protocol, in one list: a new one is tested by being listed."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ministack
import openbao

from sealwright.keys.backend import KeyBackend
from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.backends.memory import MemoryBackend
from sealwright.keys.catalogs.memory import MemoryCatalog
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.observed_backend import ObservedBackend
from sealwright.wiring.key_backends import open_backend

Opened = contextlib.AbstractContextManager[KeyBackend]


def opening(make: Callable[[Path], KeyBackend]) -> Callable[[Path], Opened]:
    """A backend that needs no server."""

    @contextlib.contextmanager
    def opened(folder: Path) -> Iterator[KeyBackend]:
        with contextlib.closing(make(folder)) as backend:
            yield backend

    return opened


def on_aws(_: Path) -> KeyBackend:
    return open_backend("awskms", ministack.backend_uri(ministack.shared().url))


def on_openbao(folder: Path) -> KeyBackend:
    token_file = folder / f"token-{secrets.token_hex(4)}"
    token_file.write_text(openbao.shared().token(openbao.documented_policy()), "utf-8")
    return open_backend("vault", openbao.backend_uri(openbao.shared().url, token_file))


# By the scheme of its URI, each on its real component: a function from a folder to a backend for one test.
BACKENDS: dict[str, Callable[[Path], Opened]] = {
    "memory": opening(lambda _: MemoryBackend()),
    "local": opening(lambda folder: LocalBackend(folder / "keys", b"k" * 32)),
    "observed": opening(lambda folder: ObservedBackend(LocalBackend(folder / "keys", b"k" * 32), None)),
    "awskms": opening(on_aws),
    "vault": opening(on_openbao),
}
CATALOGS: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: MemoryCatalog(),
    "sql": lambda folder: SqlCatalog.open(f"sqlite:///{folder / 'catalog.db'}"),
}
