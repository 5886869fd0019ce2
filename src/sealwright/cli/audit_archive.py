"""sealwright audit archive: old entries into files, then a signed note of it, and only then out of the catalog."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby, islice, pairwise, takewhile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sealwright.cli.audit_entries import LiveTrail
from sealwright.cli.audit_verify import prove
from sealwright.cli.calls import TrailCalls
from sealwright.cli.options import Home, Json, Why, print_json, read_seconds
from sealwright.cli.output import new_file
from sealwright.cli.session import open_calls
from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import Reason, RejectedError
from sealwright.keys.audit import AuditEntry
from sealwright.keys.audit_statements import Segment

SEGMENT_ENTRIES = 50_000
SEGMENTS_AT_ONCE = 100

Before = Annotated[str, typer.Option("--before", help="Entries older than this, such as 90d.")]
Out = Annotated[Path, typer.Option("--out", help="The folder of the archive.", file_okay=False)]


def archive(before: Before, out: Out, reason: Why = "routine", home: Home = None, as_json: Json = False) -> None:
    """Move old entries into compressed files. An archiving that was interrupted is finished by the next one."""
    cutoff = SYSTEM_CLOCK.now() - read_seconds(before)
    with open_calls(home) as calls:
        segments = archive_trail(calls.trail, out, cutoff, reason)
    if as_json:
        print_json({"segments": [asdict(segment) for segment in segments]})
        return
    console = Console(highlight=False, soft_wrap=True)
    for segment in segments:
        console.print(f"{segment.file}   entries {segment.first} to {segment.last} of {segment.writer}", markup=False)
    console.print(f"{len(segments)} segments were archived in {out}", markup=False)


def archive_trail(
    trail: TrailCalls, folder: Path, cutoff: float, reason: str, *, size: int = SEGMENT_ENTRIES
) -> list[Segment]:
    """A trail that is broken is not archived: that would hide the break. Raises RejectedError ``audit.broken``."""
    _prune(trail)
    prove(trail)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RejectedError(Reason.REQUEST_MALFORMED, f"cannot make the folder {folder}: {error.strerror}") from error
    done: list[Segment] = []
    written = _written(trail, folder, cutoff, size)
    while some := list(islice(written, SEGMENTS_AT_ONCE)):
        trail.archive([asdict(segment) for segment in some], reason=reason)
        done += some
    _prune(trail)
    return done


def _prune(trail: TrailCalls) -> None:
    while trail.prune()["deleted"]:
        pass


def _written(trail: TrailCalls, folder: Path, cutoff: float, size: int) -> Iterator[Segment]:
    for _, chain in groupby(LiveTrail(trail).entries(), key=lambda entry: entry.writer):
        # Pairs leave the last entry of each chain out: it says where the chain goes on.
        old = (entry for entry, _ in takewhile(lambda pair: pair[0].at < cutoff, pairwise(chain)))
        while some := list(islice(old, size)):
            yield _write(folder, some)


def _write(folder: Path, entries: list[AuditEntry]) -> Segment:
    first, last = entries[0], entries[-1]
    name = f"{first.writer}.{first.sequence:012d}-{last.sequence:012d}.jsonl.gz"
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as lines:
        for entry in entries:
            lines.write(json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n")
    with new_file(folder / name) as file:
        assert file is not None
        file.write(packed.getvalue())
        file.keep()
    sha256 = hashlib.sha256(packed.getvalue()).hexdigest()
    return Segment(first.writer, first.sequence, last.sequence, last.digest, name, sha256)
