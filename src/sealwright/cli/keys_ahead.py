"""sealwright keys plan and orphans: what is going to happen to keys, and what is amiss at their backends."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.options import Home, Json, print_json, print_table, read_seconds
from sealwright.cli.session import open_calls

_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def plan(
    issuer: Annotated[str | None, typer.Option("--issuer", "-i", help="Only this issuer's keys.")] = None,
    ahead: Annotated[str, typer.Option("--for", help="How far ahead, such as 12h or 30d.")] = "30d",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what is going to happen to which key and when, and what blocks it."""
    for_s = read_seconds(ahead)
    with open_calls(home) as calls:
        answer = calls.plan(issuer, for_s=for_s)
    if as_json:
        print_json(answer)
    elif answer["moves"]:
        print_table(("WHEN (UTC)", "IN", "ISSUER", "ALG", "MOVE", "KID", "BLOCKED BY"), map(_row, answer["moves"]))
    else:
        _say(f"nothing is planned until {answer['until']}")


def orphans(home: Home = None, as_json: Json = False) -> None:
    """List keys that a backend holds and no record knows, and records whose key is gone. Changes nothing."""
    with open_calls(home) as calls:
        answer = calls.orphans()
    if as_json:
        print_json(answer)
    elif rows := [row for found in answer["backends"] for row in _orphan_rows(found)]:
        print_table(("BACKEND", "WHAT", "ISSUER", "STATE", "HANDLE", "KID"), rows)
    else:
        _say("every key has its record, and every record its key")


def _row(move: dict[str, Any]) -> tuple[str, ...]:
    purpose = "" if move["purpose"] == "token" else f" ({move['purpose']})"
    blocked = [
        *(f"[bold red]{one}[/]" for one in move["blocked_by"]),
        *(f"{one} until then" for one in move["waits_for"]),
    ]
    what = str(move["move"]).replace("_", " ")
    when = str(move["at"]).replace("T", " ").removesuffix("Z")
    return (
        when,
        _in(move["in_s"]),
        move["issuer"] + purpose,
        move["algorithm"],
        what,
        move["key_id"],
        ", ".join(blocked),
    )


def _in(seconds: int) -> str:
    """The two largest units: 29d 12h."""
    if seconds <= 0:
        return "now"
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def _orphan_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    name = found["backend"]
    if found["failed"]:
        return [(name, f"[bold red]not known: {found['failed']}[/]", "", "", "", "")]
    unknown = [(name, "key without a record", "", "", handle, "") for handle in found["unknown"]]
    lost = (
        (name, "[bold red]record without its key[/]", one["issuer"], one["state"], one["handle"], one["key_id"])
        for one in found["missing"]
    )
    return [*unknown, *lost]


def _say(text: str) -> None:
    Console(soft_wrap=True, highlight=False, markup=False).print(text)
