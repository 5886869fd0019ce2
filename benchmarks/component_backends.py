"""The key backends whose components this machine has, each set up anew as the tests do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from sealwright.keys.backend import KeyBackend


def available(folder: Path) -> Iterator[tuple[str, AbstractContextManager[KeyBackend]]]:
    """Names of backends, and how each is opened."""
    yield from ()
