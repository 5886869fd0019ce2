"""sealwright fleet: which verifiers report, who is behind, and how keys and revocations reached them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.options import Home, Json, print_json, print_table, printable
from sealwright.cli.session import open_calls

_WHAT = {"lacks": "lacks", "still_holds": "still holds", "feed": "has an old feed of revoked keys"}

app = typer.Typer(invoke_without_command=True, help="Show the verifiers that report, and prepare new ones.")


@app.callback()
def fleet(
    context: typer.Context,
    issuer: Annotated[str | None, typer.Option("--issuer", "-i", help="Only verifiers of this issuer.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the verifiers that report to the service: who is behind and since when, and what each key has reached."""
    if context.invoked_subcommand is not None:
        return
    with open_calls(home) as calls:
        answer = calls.fleet.show(issuer)
    if as_json:
        print_json(answer)
        return
    if not answer["verifiers"]:
        say("no verifier reports: guards wait for times alone, and nothing is known about what verifiers accept")
        return
    _print_verifiers(answer)
    _print_keys(answer["issuers"])
    for line in _lines(answer["issuers"]):
        say(line)


def say(text: str) -> None:
    Console(soft_wrap=True, highlight=False, markup=False).print(text)


def seconds(value: float | None) -> str:
    """In the largest unit of which there are at least two."""
    if value is None:
        return "-"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if value >= 2 * size:
            return f"{value / size:.0f}{unit}"
    return f"{value:.1f}s" if value < 10 else f"{value:.0f}s"


def enforced(found: dict[str, Any]) -> str:
    """How far a revocation got, in one line."""
    so_far = f"{found['refusing']} of {found['of']} verifiers refuse it"
    if found["enforced_after_s"] is not None:
        return f"{so_far}, the last one {found['enforced_after_s']:.1f} s after the command"
    last = found["last_refusal_after_s"]
    return so_far if last is None else f"{so_far}, the last of them {last:.1f} s after the command"


def _print_verifiers(answer: dict[str, Any]) -> None:
    headings = ("VERIFIER", "STATUS", "SEEN", "ISSUER", "SEQUENCE", "KEYS", "LAST ACCEPTED (UTC)", "BEHIND")
    print_table(headings, (row for one in answer["verifiers"] for row in _rows(one)))
    if answer["left_out"]:
        say(f"and {answer['left_out']} more, none of which is further behind")


def _rows(one: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    name = f"{printable(one['name'])}/{printable(one['instance'])}"
    status = one["status"] if one["status"] == "live" else f"[bold red]{one['status']}[/]"
    for issuer, held in one["issuers"].items():
        accepted = max((at for key in held["keys"].values() if (at := key["accepted_at"])), default="never")
        behind = ", ".join(_behind(lack) for lack in held["behind"])
        sequence = "-" if held["sequence"] is None else str(held["sequence"])
        count = str(len(held["keys"]))
        yield name, status, f"{seconds(one['silent_s'])} ago", issuer, sequence, count, accepted, behind


def _behind(lack: dict[str, Any]) -> str:
    return " ".join(filter(None, (_WHAT[lack["what"]], lack["key_id"], f"for {seconds(lack['for_s'])}")))


def _print_keys(issuers: dict[str, Any]) -> None:
    """M6: from the publication of a key until the last verifier held it, and until the last accepted with it."""
    rows = (
        (name, key["key_id"], key["state"], f"{key['holders']} of {key['of']}", *_after(key))
        for name, issuer in issuers.items()
        if issuer["live"]
        for key in issuer["keys"]
    )
    say("")
    print_table(("ISSUER", "KID", "STATE", "HELD BY", "HELD AFTER", "ACCEPTED AFTER"), rows)


def _after(key: dict[str, Any]) -> tuple[str, str]:
    return seconds(key["held_after_s"]), seconds(key["accepted_after_s"])


def _lines(issuers: dict[str, Any]) -> Iterator[str]:
    for name, issuer in issuers.items():
        for found in issuer["revocations"]:
            yield f"\n{name}: revoked {found['key_id']} at {found['commanded_at']}: {enforced(found)}"
        if given := issuer["rehearsal"]:
            said = f"{given['accepted']} of {given['of']} verifiers accepted"
            yield f"\n{name}: rehearsed {given['key_id']} at {given['began_at']}: {said}"
