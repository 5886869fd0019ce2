"""Identity: who a verified token speaks for, made of its claims by a small mapping. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.trust.claim_path import MAXIMUM_VALUE_CHARACTERS, ClaimPath
from sealwright.trust.decision import Verified

LISTS = frozenset({"groups", "roles", "scopes"})  # all other fields hold one text
USUAL: Mapping[str, str] = {"subject": "sub", "scopes": "scope"}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_PLACE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Bounded printable texts by the name of their field, and the lists ``groups``, ``roles`` and ``scopes``."""

    issuer: str
    texts: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(self.lists.get("roles", ()))

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(self.lists.get("scopes", ()))

    def to_dict(self) -> dict[str, Any]:
        return {"issuer": self.issuer, **self.texts, **{name: list(values) for name, values in self.lists.items()}}


@dataclass(frozen=True, slots=True)
class _Field:
    """A path, or a template in which each ``{path}`` stands for a value; what lies between is copied."""

    paths: tuple[ClaimPath, ...]
    between: tuple[str, ...]  # one more than paths
    is_path: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        if "{" not in text and "}" not in text:
            return cls((ClaimPath.parse(text),), ("", ""), is_path=True)
        parts = _PLACE.split(text)
        between = tuple(parts[::2])
        if len(parts) < 3 or any("{" in part or "}" in part or not part.isprintable() for part in between):
            raise _wrong("a template is text with the paths of claims in braces, such as {tid}:{oid}")
        return cls(tuple(ClaimPath.parse(part) for part in parts[1::2]), between, is_path=between == ("", ""))

    def text(self, claims: Mapping[str, Any]) -> str | None:
        if self.is_path:
            return self.paths[0].text(claims)
        values = [path.text(claims) for path in self.paths]
        made = self.between[0] + "".join(
            f"{value}{after}" for value, after in zip(values, self.between[1:], strict=True)
        )
        if None in values:
            return None
        if len(made) > MAXIMUM_VALUE_CHARACTERS:
            raise RejectedError(Reason.CLAIMS_MALFORMED, "a claim of the identity is too long")
        return made


@dataclass(frozen=True, slots=True)
class IdentityMap:
    """Fields and where they come from. A field whose claims a token lacks is left out, unless it is required."""

    fields: Mapping[str, str] = field(default_factory=lambda: dict(USUAL))
    required: frozenset[str] = frozenset()
    _texts: tuple[tuple[str, _Field], ...] = field(init=False, repr=False)
    _lists: tuple[tuple[str, ClaimPath], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises ConfigurationError ``settings.invalid``."""
        parsed = {name: _Field.parse(text) for name, text in self.fields.items()}
        for name, one in parsed.items():
            if _NAME.fullmatch(name) is None or name == "issuer":
                raise _wrong(f'"{name}" cannot be the name of a field: a-z, 0-9 and _, and "issuer" is always there')
            if name in LISTS and not one.is_path:
                raise _wrong(f'"{name}" is a list, which one claim holds: name its path')
        if not self.required <= parsed.keys():
            raise _wrong(f"required, but not in the mapping: {', '.join(sorted(self.required - parsed.keys()))}")
        texts = tuple((name, one) for name, one in parsed.items() if name not in LISTS)
        object.__setattr__(self, "_texts", texts)
        object.__setattr__(self, "_lists", tuple((name, parsed[name].paths[0]) for name in parsed if name in LISTS))

    def identity_of(self, verified: Verified) -> Identity:
        """Raises RejectedError ``claims.missing``, ``claims.wrong_type`` or ``claims.malformed``."""
        claims = verified.claims
        texts = {name: text for name, one in self._texts if (text := one.text(claims)) is not None}
        lists = {name: found for name, path in self._lists if (found := path.texts(claims, words=name == "scopes"))}
        if missing := [name for name in self.required if not texts.get(name) and not lists.get(name)]:
            said = ", ".join(sorted(missing))
            raise RejectedError(Reason.CLAIMS_MISSING, f"the token says nothing about its {said}")
        return Identity(verified.issuer, texts, lists)


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
