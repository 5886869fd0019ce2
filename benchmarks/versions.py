"""Which versions were compared."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

ALWAYS = ("cryptography", "pynacl", "orjson")


def versions(*names: str) -> dict[str, str]:
    return {name: _version(name) for name in (*ALWAYS, *names)}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
