"""Claims that many callers share: the types that JSON has, and nobody can change them. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NoReturn


class FrozenDict(dict[str, Any]):
    """A dict to read. ``copy`` gives one to write."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("these claims are shared with other requests: copy them first")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """A list to read. ``copy`` gives one to write."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("these claims are shared with other requests: copy them first")

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def frozen(value: Any) -> tuple[Any, int]:
    """The same JSON value for reading only, and the bytes of memory that it takes at most."""
    if isinstance(value, dict):
        members, size_bytes = _frozen_each(value.values())
        held: Any = FrozenDict(zip(value, members, strict=True))
        return held, sys.getsizeof(held) + size_bytes + sum(map(sys.getsizeof, value))
    if isinstance(value, list):
        members, size_bytes = _frozen_each(value)
        held = FrozenList(members)
        return held, sys.getsizeof(held) + size_bytes
    return value, sys.getsizeof(value)


def _frozen_each(values: Iterable[Any]) -> tuple[list[Any], int]:
    """Most are texts and numbers, which need no call of their own."""
    members, size_bytes = list(values), 0
    for index, one in enumerate(members):
        if isinstance(one, dict | list):
            members[index], more = frozen(one)
            size_bytes += more
        else:
            size_bytes += sys.getsizeof(one)
    return members, size_bytes
