"""Names of transit keys: ``sealwright-<handle>-<algorithm>``, and ``….<other key>`` for a key that was adopted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sealwright.keys.backends.vault.rows import KEY_TYPES

PREFIX = "sealwright-"
_ALGORITHMS = {name.lower(): name for name in KEY_TYPES}
_NAME = re.compile(rf"{PREFIX}([0-9a-zA-Z]+)-([0-9a-z]+)(?:\.(.+))?")


@dataclass(frozen=True, slots=True)
class KeyName:
    """``sign`` and ``find`` get a handle only, and an RSA key does not know whether it is for RS256 or PS256."""

    handle: str
    algorithm: str
    reference: str | None = None

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """None for a name that is not ours."""
        match = _NAME.fullmatch(name)
        if match is None or match[2] not in _ALGORITHMS:
            return None
        return cls(match[1], _ALGORITHMS[match[2]], match[3])

    @property
    def target(self) -> str:
        """The transit key that signs."""
        return self.reference or str(self)

    def __str__(self) -> str:
        pointer = f".{self.reference}" if self.reference else ""
        return f"{PREFIX}{self.handle}-{self.algorithm.lower()}{pointer}"


def first_name_of(handle: str, names: Iterable[str]) -> KeyName | None:
    parsed = (KeyName.parse(name) for name in names)
    return next((name for name in parsed if name is not None and name.handle == handle), None)


def is_key_name(text: str) -> bool:
    """Whether it can stand in a path of transit."""
    return re.fullmatch(r"\w([\w.-]*\w)?", text, re.ASCII) is not None
