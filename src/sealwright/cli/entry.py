"""Where the installed commands begin: says which extra is missing instead of failing on an import."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> None:
    """sealwright"""
    try:
        from sealwright.cli.main import main as run
    except ModuleNotFoundError as missing:
        _explain(missing, "service")
    run()


def verifier() -> None:
    """sealwright-verifier"""
    try:
        from sealwright.services.verifier_service.main import main as run
    except ModuleNotFoundError as missing:
        _explain(missing, "verifier")
    run()


def _explain(missing: ModuleNotFoundError, extra: str) -> NoReturn:
    if (missing.name or "sealwright").startswith("sealwright"):
        raise missing
    sys.exit(f"this command needs the package {missing.name}: pip install 'sealwright[{extra}]'")
