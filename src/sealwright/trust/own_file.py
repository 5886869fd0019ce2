"""Files that a verifier writes for itself and its workers share: whole or not at all, one writer at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

_PAUSE_S = 0.05


def replace_whole(path: Path, content: bytes) -> None:
    """For its owner only (which is how ``mkstemp`` makes files), and there after a power cut. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def turn(path: Path, tries: int = 1) -> Iterator[bool]:
    """Whether this process alone may write ``path`` now, through a lock file beside it.

    The kernel ends a turn when its process is killed. Raises OSError.
    """
    import fcntl  # not on every platform, and only who keeps a file needs it

    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for left in reversed(range(tries)):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if left:
                    Event().wait(_PAUSE_S)
            else:
                yield True
                return
        yield False
    finally:
        os.close(descriptor)
