"""Test vectors of others: read where they are, never copied here; loudly skipped where they are absent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(os.environ.get("SEALWRIGHT_VECTORS") or Path(__file__).parents[2].parent / "shared" / "vectors")


@pytest.fixture
def vectors() -> Callable[[str], Any]:
    """Loads one JSON file by its path below the folder of vectors."""
    if not ROOT.is_dir():
        pytest.skip("NO VECTORS: set SEALWRIGHT_VECTORS to the folder of others' test vectors")

    def load(path: str) -> Any:
        if not (ROOT / path).is_file():
            pytest.skip(f"NO VECTORS: {path} is not in the folder of others' test vectors")
        return json.loads((ROOT / path).read_text("utf-8"))

    return load
