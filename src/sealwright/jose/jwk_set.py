"""JWKSet: public keys only, found by kid and "alg" (RFC 7517 §5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.jwk import PublicJWK

MAXIMUM_KEYS = 100


@dataclass(frozen=True, slots=True)
class UnusableKey:
    """A member of a set that was skipped, and why; the others stay usable."""

    index: int
    key_id: str | None
    reason: Reason


class JWKSet:
    """An immutable set of public keys. ``unusable`` reports the members that were skipped."""

    __slots__ = ("_by_id", "keys", "unusable")

    def __init__(self, keys: Iterable[PublicJWK] = (), *, unusable: Iterable[UnusableKey] = ()) -> None:
        self.keys = tuple(keys)
        self.unusable = tuple(unusable)
        self._by_id: dict[str | None, list[PublicJWK]] = {}
        for key in self.keys:
            if not isinstance(key, PublicJWK):
                raise TypeError("a JWKSet holds PublicJWK only")
            self._by_id.setdefault(key.key_id, []).append(key)

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Read a set; a key that cannot be used is skipped and reported, and never takes the others with it."""
        listed = members.get("keys")
        if not isinstance(listed, list):
            raise RejectedError(Reason.KEY_MALFORMED, 'a JWK Set is an object with a "keys" list')
        if len(listed) > MAXIMUM_KEYS:
            raise RejectedError(Reason.KEY_UNSUPPORTED, f"a JWK Set may hold {MAXIMUM_KEYS} keys at most")
        keys: list[PublicJWK] = []
        unusable: list[UnusableKey] = []
        for index, item in enumerate(listed):
            try:
                keys.append(_read(item))
            except RejectedError as error:
                key_id = item.get("kid") if isinstance(item, dict) else None
                unusable.append(UnusableKey(index, key_id if isinstance(key_id, str) else None, error.reason))
        return cls(keys, unusable=unusable)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        return cls.from_dict(strict_json.parse_object(text))

    def bound_to(self, allowed: Collection[str]) -> JWKSet:
        """The keys that ``allowed`` algorithms can use, each bound to exactly one; the rest become unusable."""
        return self._each(lambda key: key.bound_to(allowed))

    def usable_at(self, now: float) -> JWKSet:
        """The keys whose own members allow their use at ``now``; the rest become unusable."""

        def usable(key: PublicJWK) -> PublicJWK:
            key.check_usable(now)
            return key

        return self._each(usable)

    def _each(self, accept: Callable[[PublicJWK], PublicJWK]) -> JWKSet:
        keys: list[PublicJWK] = []
        unusable = list(self.unusable)
        for index, key in enumerate(self.keys):
            try:
                keys.append(accept(key))
            except RejectedError as error:
                unusable.append(UnusableKey(index, key.key_id, error.reason))
        return JWKSet(keys, unusable=unusable)

    def find(self, key_id: str | None) -> PublicJWK:
        """The one key of this kid. Raises ``key.id_missing``, ``key.not_found`` or ``key.ambiguous``.

        A token without kid is matched only by a set of exactly one key: there is nothing to guess then.
        """
        if key_id is None:
            if len(self.keys) == 1:
                return self.keys[0]
            raise RejectedError(Reason.KEY_ID_MISSING, "the token names no key and there are several to choose from")
        found = self._by_id.get(key_id, ())
        if not found:
            raise RejectedError(Reason.KEY_NOT_FOUND, "no key with the token's kid is known")
        if len(found) > 1:
            raise RejectedError(Reason.KEY_AMBIGUOUS, "several keys share the token's kid")
        return found[0]

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._by_id

    def __iter__(self) -> Iterator[PublicJWK]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def to_dict(self) -> dict[str, Any]:
        return {"keys": [key.to_dict() for key in self.keys]}

    def __repr__(self) -> str:
        return f"JWKSet({[key.key_id for key in self.keys]!r}, unusable={len(self.unusable)})"


def _read(item: Any) -> PublicJWK:
    if not isinstance(item, dict):
        raise RejectedError(Reason.KEY_MALFORMED, "a key in the set is not an object")
    return PublicJWK.from_dict(item)
