"""ClaimPath: where in the claims a value is, such as ``sub`` or ``kubernetes.io/serviceaccount/name``. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sealwright.errors import ConfigurationError, Reason, RejectedError

MAXIMUM_VALUE_CHARACTERS = 512
MAXIMUM_VALUES = 256
MAXIMUM_DEPTH = 8
_ESCAPED = re.compile(r"~(?![01])")
_LARGEST = 2**53


@dataclass(frozen=True, slots=True)
class ClaimPath:
    """Names from the outermost claim inwards.

    Written with slashes between them, and ``~1`` for a slash inside of a name (RFC 6901 §3). One that begins like a URL
    is a single name, as some issuers call their own claims.
    """

    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ConfigurationError ``settings.invalid``."""
        if text.startswith(("https://", "http://")):
            return cls((text,))
        names = text.split("/")
        if not all(names) or len(names) > MAXIMUM_DEPTH or _ESCAPED.search(text) or not text.isprintable():
            message = "a claim is named by its path, such as sub or kubernetes.io/namespace"
            raise ConfigurationError(Reason.SETTINGS_INVALID, message)
        return cls(tuple(name.replace("~1", "/").replace("~0", "~") for name in names))

    def find(self, claims: Mapping[str, Any]) -> Any:
        """The value, or None where there is none. What lies on the way must be objects."""
        here: Any = claims
        for name in self.names:
            if not isinstance(here, dict):
                raise RejectedError(Reason.CLAIMS_WRONG_TYPE, f'the claim "{self.names[0]}" is not an object')
            here = here.get(name)
            if here is None:
                return None
        return here

    def text(self, claims: Mapping[str, Any]) -> str | None:
        """One value as text. Raises RejectedError ``claims.wrong_type`` or ``claims.malformed``."""
        value = self.find(claims)
        return None if value is None else self._shown(value)

    def texts(self, claims: Mapping[str, Any], *, words: bool = False) -> tuple[str, ...]:
        """A list of texts; a single one is a list of one, or its words. Raises as ``text``."""
        value = self.find(claims)
        if words and isinstance(value, str):
            value = value.split()
        values = [] if value is None else value if isinstance(value, list) else [value]
        if len(values) > MAXIMUM_VALUES:
            raise RejectedError(Reason.CLAIMS_MALFORMED, f'the claim "{self.names[0]}" has too many values')
        return tuple([self._shown(one) for one in values])

    def _shown(self, value: Any) -> str:
        """Text that is safe to hand on: bounded and printable."""
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST:
            value = str(value)
        if not isinstance(value, str):
            raise RejectedError(Reason.CLAIMS_WRONG_TYPE, f'the claim "{self.names[0]}" is not text')
        if len(value) > MAXIMUM_VALUE_CHARACTERS or not value.isprintable():
            raise RejectedError(Reason.CLAIMS_MALFORMED, f'the claim "{self.names[0]}" is too long or not printable')
        return value

    def __str__(self) -> str:
        if len(self.names) == 1 and self.names[0].startswith(("https://", "http://")):
            return self.names[0]
        return "/".join(name.replace("~", "~0").replace("/", "~1") for name in self.names)
