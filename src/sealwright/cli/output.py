"""Output files: written beside their place, and put into it only when they are whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sealwright.errors import Reason, RejectedError


class NewFile:
    """A file that appears under its name only after ``keep``. Raises RejectedError ``request.malformed``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # A device or a pipe would be replaced by a file of its name.
        if path.exists() and not path.is_file():
            raise RejectedError(Reason.REQUEST_MALFORMED, f"cannot write {path}: it is not a plain file")
        with self._errors():
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        self._file, self._written = os.fdopen(descriptor, "wb"), Path(name)

    def write(self, data: bytes) -> None:
        with self._errors():
            self._file.write(data)

    def keep(self) -> None:
        with self._errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._written.replace(self._path)

    def discard(self) -> None:
        """Take away what was not kept."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._written.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"cannot write {self._path}: {error.strerror}"
            raise RejectedError(Reason.REQUEST_MALFORMED, message) from error


@contextlib.contextmanager
def new_file(path: Path | None) -> Iterator[NewFile | None]:
    """The file to write, or None where none was asked for; gone again at the end unless it was kept."""
    if path is None:
        yield None
        return
    file = NewFile(path)
    try:
        yield file
    finally:
        file.discard()
