"""Claims that many callers share: the types that JSON has, and nobody can change them. Pure."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

_INNER = (dict, list)


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


def frozen(value: Any) -> Any:
    """The same JSON value for reading only."""
    if isinstance(value, dict):
        return FrozenDict({name: frozen(one) if type(one) in _INNER else one for name, one in value.items()})
    if isinstance(value, list):
        return FrozenList([frozen(one) if type(one) in _INNER else one for one in value])
    return value


def size_bytes(value: Any) -> int:
    """The memory that a JSON value takes at most."""
    inner = sys.getsizeof(value)
    if isinstance(value, dict):
        inner += sum(map(sys.getsizeof, value)) + sum(map(size_bytes, value.values()))
    elif isinstance(value, list):
        inner += sum(map(size_bytes, value))
    return inner
