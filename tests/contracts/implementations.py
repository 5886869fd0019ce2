"""Every implementation of each protocol, in one list: a new one is tested by being listed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.backends.memory import MemoryBackend
from sealwright.keys.catalogs.memory import MemoryCatalog
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.observed_backend import ObservedBackend

BACKENDS: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: MemoryBackend(),
    "local": lambda folder: LocalBackend(folder / "keys", b"k" * 32),
    "observed": lambda folder: ObservedBackend(LocalBackend(folder / "keys", b"k" * 32), None),
}
CATALOGS: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: MemoryCatalog(),
    "sql": lambda folder: SqlCatalog.open(f"sqlite:///{folder / 'catalog.db'}"),
}
