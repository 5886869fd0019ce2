"""sealwright audit: read the trail, and prove that nothing was taken out of it or changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from sealwright.cli.options import Home, Json, print_json, print_json_line, print_table
from sealwright.cli.session import KeyCalls, open_calls
from sealwright.keys.audit import GENESIS, AuditEntry, Head, check_chain

app = typer.Typer(no_args_is_help=True, help="Read and verify the audit trail.")


@app.command("list")
def list_entries(
    after: Annotated[int, typer.Option("--after", help="Only entries with a larger sequence.")] = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show who did what to which key, when and why. With --json: one JSON object on each line."""
    with open_calls(home) as calls:
        if as_json:
            for entry in _entries(calls, after):
                print_json_line(asdict(entry))
            return
        rows = (_row(entry) for entry in _entries(calls, after))
        print_table(("SEQUENCE", "TIME (UTC)", "ACTOR", "ACTION", "ISSUER", "REASON", "KID"), rows)


@app.command()
def verify(home: Home = None, as_json: Json = False) -> None:
    """Recompute the chain of digests from the first entry to the last. Exit code 1 names the first break."""
    with open_calls(home) as calls:
        last = AuditEntry(0.0, "", "", "", None, "", {}, digest=GENESIS)
        for entry in _entries(calls, 0, last):
            last = entry
    if as_json:
        print_json({"unbroken": True, "entries": last.sequence, "last_digest": last.digest})
    else:
        console = Console(highlight=False, soft_wrap=True)
        console.print("[bold green]unbroken[/]", f" {last.sequence} entries, the last digest is {last.digest}")


def _entries(calls: KeyCalls, after: int, before: AuditEntry | None = None) -> Iterator[AuditEntry]:
    """Page by page; with the entry ``before``, each page is checked as the continuation of the one before."""
    while page := [AuditEntry(**entry) for entry in calls.audit(after=after)["entries"]]:
        if before is not None:
            check_chain(page, before=Head("main", before.sequence, before.digest))
            before = page[-1]
        yield from page
        after = page[-1].sequence


def _row(entry: AuditEntry) -> tuple[str, ...]:
    at = datetime.fromtimestamp(entry.at, UTC).isoformat(" ", "seconds")[:19]
    facts = (entry.actor, entry.action, entry.issuer, entry.reason, entry.key_id or "")
    return str(entry.sequence), at, *(escape(fact) for fact in facts)
