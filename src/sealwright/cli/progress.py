"""Content of any size from a file or a pipe, with a progress bar where a person is looking."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from sealwright.errors import Reason, RejectedError
from sealwright.jose import detached

SHOWN_FROM_BYTES = 32 * 1024 * 1024
SHOWN_FROM_ITEMS = 10_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Content:
    """A stream, and whom to tell how much of it was read."""

    stream: BinaryIO
    progress: detached.Progress | None


@contextlib.contextmanager
def open_content(source: str, *, quiet: bool) -> Iterator[Content]:
    """A file, or standard input for "-", to be read once. Raises RejectedError ``request.malformed``."""
    try:
        with contextlib.ExitStack() as stack:
            stream = sys.stdin.buffer if source == "-" else stack.enter_context(Path(source).open("rb"))
            yield Content(stream, None if quiet else stack.enter_context(_bar(_size_of(stream))))
    except BrokenPipeError:  # of whoever reads what is printed meanwhile
        raise
    except OSError as error:
        message = f"cannot read {source}: {error.strerror}"
        raise RejectedError(Reason.REQUEST_MALFORMED, message) from error


def _size_of(stream: BinaryIO) -> int | None:
    """The bytes of a file; None for a pipe, which does not know."""
    facts = os.fstat(stream.fileno())
    return facts.st_size if stat.S_ISREG(facts.st_mode) else None


@contextlib.contextmanager
def _bar(size: int | None) -> Iterator[detached.Progress | None]:
    if not sys.stderr.isatty() or (size is not None and size <= SHOWN_FROM_BYTES):
        yield None
        return
    columns = BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=size)
        yield lambda count: bar.advance(task, count)


def counted(items: Iterable[T], total: int | None) -> Iterator[T]:
    """The same items, with a bar where a person is looking and there are many."""
    if not sys.stderr.isatty() or (total is not None and total <= SHOWN_FROM_ITEMS):
        yield from items
        return
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield from bar.track(items, total=total)
