"""Lines: where in a TOML text each key is, which tomllib does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Key = tuple[str, ...]


class Place(NamedTuple):
    """Both begin with 1."""

    line: int
    column: int


class Lines:
    """The places of the keys of a text that tomllib has read without an error."""

    def __init__(self, text: str) -> None:
        self._places: dict[Key, Place] = {}
        self._statements: dict[Key, tuple[int, str]] = {}
        table: Key = ()
        for number, statement in _statements(text):
            if statement.lstrip().startswith("["):
                table = _path(tomllib.loads(statement))
                self._note(table, number, statement)
            else:
                self._note(table + _path(tomllib.loads(statement)), number, statement)

    def place(self, key: Key) -> Place:
        """Of the key itself, or of the nearest one around it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self._places:
                inner = key[length] if length < len(key) else None
                return self._inside(key[:length], inner) or self._places[key[:length]]
        return Place(1, 1)

    def _note(self, key: Key, number: int, statement: str) -> None:
        for length in range(1, len(key) + 1):
            place = Place(number, len(statement) - len(statement.lstrip()) + 1)
            self._places.setdefault(key[:length], place)
        self._statements.setdefault(key, (number, statement))

    def _inside(self, key: Key, name: str | None) -> Place | None:
        """A key of an inline table, which may go over several lines."""
        number, statement = self._statements.get(key, (0, ""))
        found = re.search(rf"""(?<![\w-])["']?{re.escape(name)}["']?\s*=""", statement) if name else None
        if found is None:
            return None
        before = statement[: found.start()]
        return Place(number + before.count("\n"), found.start() - before.rfind("\n"))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each table header and each key with its value, and the number of its first line."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        end = at + 1
        if lines[at].strip() and not lines[at].lstrip().startswith("#"):
            while not _whole(statement := "\n".join(lines[at:end])) and end < len(lines):
                end += 1
            yield at + 1, statement
        at = end


def _whole(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _path(nested: Mapping[str, Any]) -> Key:
    """The one key of a statement: a header nests empty tables, and a value that is a table ends the key too."""
    for name, value in nested.items():
        return (name, *(_path(value) if isinstance(value, dict) and len(value) == 1 else ()))
    return ()
