"""sealwright keys rehearse and enforced: would this key work everywhere, and does nobody accept that one any more?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import sleep
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.calls import KeyCalls
from sealwright.cli.fleet import enforced as enforced_line
from sealwright.cli.fleet import say
from sealwright.cli.options import USUAL_WAIT, Home, Json, Why, print_json, print_table, printable, read_seconds
from sealwright.cli.session import open_calls
from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import Reason, RejectedError

ASKED_EVERY_S = 0.25
REJECTED, UNDECIDED = 1, 3
Wait = Annotated[
    str, typer.Option("--wait", metavar="[DURATION]", help="How long to wait for the verifiers; alone it is 30s.")
]
Kid = Annotated[str, typer.Argument(metavar="KID", help="The key's kid, as keys list shows it.")]


def rehearse(
    kid: Annotated[str | None, typer.Argument(metavar="KID", help="The standby's kid.", show_default=False)] = None,
    issuer: Annotated[str | None, typer.Option("--issuer", "-i", help="The issuer whose standby it is.")] = None,
    wait: Wait = USUAL_WAIT,
    reason: Why = "routine",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let every verifier try a token of the standby key, which nobody serves: would this key work everywhere?"""
    wait_s = read_seconds(wait)
    with open_calls(home) as calls:
        key_id = kid or _standby(calls, issuer)
        given = calls.fleet.rehearse(key_id, reason=reason)
        answer = given
        if given["of"]:
            answer = _waited(lambda: calls.fleet.rehearsal(key_id), _all_answered, _answered, wait_s)
    if as_json:
        print_json(answer)
    else:
        _print_rehearsal(answer)
    raise typer.Exit(_exit_code(answer))


def enforced(kid: Kid, wait: Wait = "0s", home: Home = None, as_json: Json = False) -> None:
    """Say which verifiers refuse a key that leaked, by its canary; exit 0 when all of them do."""
    with open_calls(home) as calls:
        answer = wait_enforced(calls, kid, read_seconds(wait))
    if as_json:
        print_json(answer)
    else:
        print_enforcement(answer)
    raise typer.Exit(0 if is_enforced(answer) else UNDECIDED)


def wait_enforced(calls: KeyCalls, key_id: str, wait_s: float) -> dict[str, Any]:
    """How far the revocation of this key got by then."""
    return _waited(lambda: calls.fleet.enforcement(key_id), is_enforced, enforced_line, wait_s)


def add_enforcement(calls: KeyCalls, rotation: dict[str, Any], wait_s: float) -> dict[str, Any]:
    """The answer of an emergency together with how far it got by then; null where no canary tells."""
    try:
        found = wait_enforced(calls, rotation["previous"]["key_id"], wait_s)
    except RejectedError as error:
        if error.reason is not Reason.REQUEST_NOT_FOUND:
            raise
        found = None
    return {**rotation, "enforcement": found}


def end_of_emergency(found: dict[str, Any] | None, *, quiet: bool) -> None:
    """Exit 3 unless every verifier refuses the key: the emergency itself is done all the same."""
    if found is None and not quiet:
        say("the leaked key signed no canary: nothing shows who still accepts it")
    elif found is not None and not quiet:
        print_enforcement(found)
    if found is None or not is_enforced(found):
        raise typer.Exit(UNDECIDED)


def is_enforced(found: dict[str, Any]) -> bool:
    return found["enforced_at"] is not None and not found["waiting"]


def print_enforcement(found: dict[str, Any]) -> None:
    if not found["of"]:
        say("no verifier of this issuer reports: nothing shows who still accepts the key")
        return
    say(enforced_line(found))
    if found["waiting"]:
        print_table(("VERIFIER", "WITH THE CANARY"), (_row(one) for one in found["waiting"]))


def _standby(calls: KeyCalls, issuer: str | None) -> str:
    found = [key["key_id"] for key in calls.keys(issuer)["keys"] if key["state"] == "standby" and "parent" not in key]
    if issuer is None or len(found) != 1:
        message = "name the standby key, or with --issuer an issuer that has one: keys list shows them"
        raise RejectedError(Reason.REQUEST_MALFORMED, message)
    return str(found[0])


def _waited(
    ask: Callable[[], dict[str, Any]],
    done: Callable[[dict[str, Any]], bool],
    shown: Callable[[dict[str, Any]], str],
    wait_s: float,
) -> dict[str, Any]:
    """Ask again until it is done, or the time is over; a person who watches sees how far it is."""
    ends = SYSTEM_CLOCK.monotonic() + wait_s
    answer = ask()
    console = Console(stderr=True, highlight=False)
    with console.status(shown(answer)) as status:
        while not done(answer) and SYSTEM_CLOCK.monotonic() < ends:
            sleep(ASKED_EVERY_S)
            answer = ask()
            status.update(shown(answer))
    return answer


def _all_answered(answer: dict[str, Any]) -> bool:
    return all(one["outcome"] != "no_answer" for one in answer["verifiers"])


def _answered(answer: dict[str, Any]) -> str:
    return f"{answer['accepted']} of {answer['of']} verifiers accepted a token of this key"


def _print_rehearsal(answer: dict[str, Any]) -> None:
    if not answer["of"]:
        say("no verifier of this issuer reports: the rehearsal shows nothing")
        return
    print_table(("VERIFIER", "OUTCOME"), (_row(one) for one in answer["verifiers"]))
    sys.stdout.write(_answered(answer) + "\n")


def _row(one: dict[str, Any]) -> tuple[str, str]:
    why = f" ({printable(one['reason'])})" if one["reason"] else ""
    return f"{printable(one['name'])}/{printable(one['instance'])}", one["outcome"].replace("_", " ") + why


def _exit_code(answer: dict[str, Any]) -> int:
    if answer["of"] and answer["accepted"] == answer["of"]:
        return 0
    return REJECTED if any(one["outcome"] == "rejected" for one in answer["verifiers"]) else UNDECIDED
