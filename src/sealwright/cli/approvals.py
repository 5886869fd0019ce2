"""sealwright approvals: moves that wait for other people."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sealwright.cli.options import Home, Json, Must, print_json, print_table, printable
from sealwright.cli.session import open_calls

app = typer.Typer(no_args_is_help=True, help="Approve of moves that other people asked for.")
ApprovalId = Annotated[str, typer.Argument(metavar="ID", help="The id, as the refused move and list show it.")]
_COLUMNS = ("id", "status", "needed", "issuer", "action", "subject", "requester", "reason", "expires_at")


@app.command("list")
def list_approvals(home: Home = None, as_json: Json = False) -> None:
    """Show what was asked, by whom and why, and what became of it."""
    with open_calls(home) as calls:
        answer = calls.access.approvals()
    if as_json:
        print_json(answer)
    else:
        _print_table(answer["approvals"])


@app.command()
def grant(approval_id: ApprovalId, home: Home = None, as_json: Json = False) -> None:
    """Agree to a move; who asked for it then repeats the command with --approval ID."""
    with open_calls(home) as calls:
        _print_one(calls.access.grant(approval_id), as_json)


@app.command()
def deny(approval_id: ApprovalId, reason: Must, home: Home = None, as_json: Json = False) -> None:
    """End a request: nobody can approve of it or use it any more."""
    with open_calls(home) as calls:
        _print_one(calls.access.deny_approval(approval_id, reason=reason), as_json)


def _print_one(approval: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(approval)
    else:
        _print_table([approval])


def _print_table(approvals: list[dict[str, Any]]) -> None:
    headings = [name.upper().replace("_", " ") for name in (*_COLUMNS, "granted_by")]
    print_table(headings, (_row(approval) for approval in approvals))


def _row(approval: dict[str, Any]) -> list[str]:
    forced = " --force" if approval["force"] else ""
    shown = {**approval, "action": approval["action"] + forced}
    return [*(printable(str(shown[name])) for name in _COLUMNS), printable(", ".join(approval["granted_by"]) or "-")]
