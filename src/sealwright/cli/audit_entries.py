"""Where audit entries are streamed from: the service or the stores, an exported file, archived segments."""

from __future__ import annotations

import contextlib
import gzip
import heapq
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from sealwright.cli.calls import TrailCalls
from sealwright.errors import Reason, RejectedError
from sealwright.keys.audit import AuditEntry

SEGMENTS = "*.jsonl.gz"


class Trail(Protocol):
    """Entries that can be read more than once, each chain in its order."""

    def entries(self, action: str | None = None) -> Iterator[AuditEntry]: ...


class LiveTrail:
    """What the catalog holds, as far as it reached when the reading began."""

    def __init__(self, calls: TrailCalls, *, writer: str | None = None, after: int = 0) -> None:
        self._calls = calls
        self._writer = writer
        self._after = after

    def chains(self) -> list[dict[str, Any]]:
        chains: list[dict[str, Any]] = self._calls.chains()["chains"]
        return [chain for chain in chains if self._writer in (None, chain["writer"])]

    def count(self) -> int:
        """How many entries there are to read now."""
        return sum(max(0, chain["last"] - max(self._after, chain["first"] - 1)) for chain in self.chains())

    def entries(self, action: str | None = None, *, after: Mapping[str, int] | None = None) -> Iterator[AuditEntry]:
        """One chain after the other; ``after`` says for each writer where to begin."""
        for chain in self.chains():
            begin = (after or {}).get(chain["writer"], self._after)
            yield from self._chain(chain["writer"], begin, chain["last"], action)

    def by_time(self) -> Iterator[AuditEntry]:
        """All chains merged, holding one page of each."""
        chains = [self._chain(chain["writer"], self._after, chain["last"], None) for chain in self.chains()]
        return heapq.merge(*chains, key=lambda entry: (entry.at, entry.writer, entry.sequence))

    def _chain(self, writer: str, after: int, last: int, action: str | None) -> Iterator[AuditEntry]:
        while page := self._calls.page(writer=writer, after=after, action=action)["entries"]:
            for members in page:
                if members["sequence"] > last:
                    return
                yield AuditEntry(**members)
            after = page[-1]["sequence"]


class ExportedTrail:
    """A file as ``audit export`` wrote it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self, action: str | None = None) -> Iterator[AuditEntry]:
        return (entry for entry in read_lines(self._path) if action in (None, entry.action))


class ArchivedTrail:
    """Archived segments, and then what the catalog still holds after them."""

    def __init__(self, folder: Path, live: LiveTrail) -> None:
        self._folder = folder
        self._live = live

    def entries(self, action: str | None = None) -> Iterator[AuditEntry]:
        ends: dict[str, int] = {}
        for path in sorted(self._folder.glob(SEGMENTS)):
            for entry in read_lines(path):
                # An archiving that was interrupted may have left a shorter file beside the one that counts.
                if entry.sequence <= ends.get(entry.writer, 0):
                    continue
                ends[entry.writer] = entry.sequence
                if action in (None, entry.action):
                    yield entry
        yield from self._live.entries(action, after=ends)


def read_lines(path: Path) -> Iterator[AuditEntry]:
    """One entry for each line, compressed or not. Raises RejectedError ``request.malformed`` naming the line."""
    number = 0
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(path.open("rb"))
            lines = stack.enter_context(gzip.open(file)) if path.suffix == ".gz" else file
            for line in lines:
                number += 1
                yield AuditEntry(**json.loads(line))
    except (TypeError, ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RejectedError(
            Reason.AUDIT_BROKEN, f"{path} cannot be read as audit entries after line {number}"
        ) from error
    except OSError as error:
        raise RejectedError(Reason.REQUEST_MALFORMED, f"cannot read {path}: {error.strerror}") from error
