"""One instance of each listed implementation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from implementations import BACKENDS, CATALOGS, FLEETS, REPLAY_STORES, SECRET_BACKENDS


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with BACKENDS[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=SECRET_BACKENDS)
def secret_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with SECRET_BACKENDS[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=FLEETS)
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with FLEETS[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=CATALOGS)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    opened = CATALOGS[request.param](tmp_path)
    yield opened
    opened.close()


@pytest.fixture(params=REPLAY_STORES)
def replay_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    opened = REPLAY_STORES[request.param](tmp_path)
    yield opened
    opened.close()
