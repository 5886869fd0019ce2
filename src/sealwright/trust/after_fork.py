"""After a fork: threads, locks and connections stayed in the parent, so a child makes its own."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")


def adopted(by_process: dict[int, T], made: T) -> T:
    """What this process uses from now on, in place of what came with the fork; ``made`` unless a thread was faster."""
    # One call of the interpreter, so that all threads of the child get the same without a lock.
    mine = by_process.setdefault(os.getpid(), made)
    for other in list(by_process):
        if other != os.getpid():
            by_process.pop(other, None)
    return mine
