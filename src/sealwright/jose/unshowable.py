"""Unshowable: nothing about a key that signs or decrypts can be printed or pickled by accident."""

from __future__ import annotations

from typing import Any, NoReturn


class Unshowable:
    """What private and secret keys share: a redacting repr, no pickling; they leave only by an export call."""

    __slots__ = ()
    key_id: str | None
    algorithm: Any  # its text is the "alg"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alg={str(self.algorithm)!r}, kid={self.key_id!r}, <redacted>)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} refuses to be pickled or copied")
