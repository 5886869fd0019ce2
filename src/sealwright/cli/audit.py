"""sealwright audit: read the trail, take it elsewhere, checkpoint it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sealwright.cli import audit_archive, audit_verify
from sealwright.cli.audit_entries import LiveTrail
from sealwright.cli.options import Home, Json, Why, print_json, print_json_line, print_table
from sealwright.cli.output import new_file
from sealwright.cli.progress import counted
from sealwright.cli.session import open_calls
from sealwright.keys.audit import AuditEntry

app = typer.Typer(no_args_is_help=True, help="Read, verify and archive the audit trail.")
app.command("verify")(audit_verify.verify)
app.command("archive")(audit_archive.archive)

After = Annotated[int, typer.Option("--after", min=0, help="Only entries with a larger sequence.")]
Writer = Annotated[str | None, typer.Option("--writer", help="Only the chain of this writer.")]
Out = Annotated[Path | None, typer.Option("--out", help="A file instead of standard output.", dir_okay=False)]


@app.command("list")
def list_entries(after: After = 0, writer: Writer = None, home: Home = None, as_json: Json = False) -> None:
    """Show who did what to which key, when and why, by time. With --json: one JSON object on each line."""
    with open_calls(home) as calls:
        entries = LiveTrail(calls.trail, writer=writer, after=after).by_time()
        if as_json:
            for entry in entries:
                print_json_line(asdict(entry))
            return
        headings = ("WRITER", "SEQUENCE", "TIME (UTC)", "ACTOR", "ACTION", "ISSUER", "REASON", "KID")
        print_table(headings, (_row(entry) for entry in entries))


@app.command()
def export(after: After = 0, writer: Writer = None, out: Out = None, home: Home = None) -> None:
    """Write entries as JSON lines, each chain in its order, for audit verify --file and for other systems."""
    with open_calls(home) as calls, new_file(out) as file:
        trail = LiveTrail(calls.trail, writer=writer, after=after)
        write = file.write if file else sys.stdout.buffer.write
        for entry in counted(trail.entries(), trail.count()):
            write(json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n")
        if file:
            file.keep()


@app.command()
def checkpoint(reason: Why = "by hand", out: Out = None, home: Home = None, as_json: Json = False) -> None:
    """Sign where every chain stands now. What is printed belongs elsewhere: audit verify --checkpoint compares."""
    with open_calls(home) as calls, new_file(out) as file:
        written = calls.trail.checkpoint(reason=reason)
        if file:
            file.write(written["jws"].encode() + b"\n")
            file.keep()
        elif as_json:
            print_json(written)
        else:
            sys.stdout.write(written["jws"] + "\n")


def _row(entry: AuditEntry) -> tuple[str, ...]:
    at = datetime.fromtimestamp(entry.at, UTC).isoformat(" ", "seconds")[:19]
    facts = (entry.actor, entry.action, entry.issuer, entry.reason, entry.key_id or "")
    return escape(entry.writer), str(entry.sequence), at, *(escape(fact) for fact in facts)
