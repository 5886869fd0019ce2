"""Every implementation of each protocol, in one list: a new one is tested by being listed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import softhsm

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


def opening_uri(make: Callable[[Path], str]) -> Callable[[Path], Opened]:
    """A backend as wiring opens it, on a component that is there already."""
    return opening(lambda folder: open_backend("tested", make(folder)))


# By the scheme of its URI, each on its real component: a function from a folder to a backend for one test.
BACKENDS: dict[str, Callable[[Path], Opened]] = {
    "memory": opening(lambda _: MemoryBackend()),
    "local": opening(lambda folder: LocalBackend(folder / "keys", b"k" * 32)),
    "observed": opening(lambda folder: ObservedBackend(LocalBackend(folder / "keys", b"k" * 32), None)),
    "pkcs11": opening_uri(lambda _: softhsm.new_token().uri()),
}
CATALOGS: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: MemoryCatalog(),
    "sql": lambda folder: SqlCatalog.open(f"sqlite:///{folder / 'catalog.db'}"),
}
