"""Claims that many callers share: the types that JSON has, and nobody can change them. Pure."""

from __future__ import annotations

import sys
from typing import Any, NoReturn


class FrozenDict(dict[str, Any]):
    """A dict to read. ``copy`` gives one to write."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("these claims are shared with other requests: copy them first")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """A list to read. ``copy`` gives one to write."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("these claims are shared with other requests: copy them first")

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def frozen(value: Any) -> tuple[Any, int]:
    """The same JSON value for reading only, and the bytes of memory that it takes at most."""
    if isinstance(value, dict):
        pairs = {name: frozen(one) for name, one in value.items()}
        held: Any = FrozenDict({name: one for name, (one, _) in pairs.items()})
        return held, sys.getsizeof(held) + sum(sys.getsizeof(name) + size for name, (_, size) in pairs.items())
    if isinstance(value, list):
        items = [frozen(one) for one in value]
        held = FrozenList(one for one, _ in items)
        return held, sys.getsizeof(held) + sum(size for _, size in items)
    return value, sys.getsizeof(value)
