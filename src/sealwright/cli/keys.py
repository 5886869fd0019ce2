"""sealwright keys: the life of keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sealwright.cli import keys_ahead
from sealwright.cli.options import DEFAULT, Force, Home, Issuer, Json, Why, print_json, print_table
from sealwright.cli.session import open_calls

app = typer.Typer(no_args_is_help=True, help="List keys and move them through their life.")
app.command()(keys_ahead.plan)
app.command()(keys_ahead.orphans)
KeyId = Annotated[str, typer.Argument(metavar="KID", help="The key's kid, as keys list shows it.")]
Must = Annotated[str, typer.Option("--reason", help="Why; it is written to the audit.", show_default=False)]

_STYLES = {"active": "bold green", "standby": "cyan", "verify_only": "yellow", "revoked": "bold red"}
_SINCE = {
    "pending": "created_at",
    "standby": "published_at",
    "active": "activated_at",
    "verify_only": "verify_only_at",
    "retired": "retired_at",
    "revoked": "revoked_at",
    "destroyed": "destroyed_at",
}


@app.command("list")
def list_keys(
    issuer: Annotated[str | None, typer.Option("--issuer", "-i", help="Only this issuer's keys.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show every key: its state, since when, and what it is for."""
    with open_calls(home) as calls:
        answer = calls.keys(issuer)
    if as_json:
        print_json(answer)
    else:
        _print_table(answer["keys"])


@app.command()
def create(
    issuer: Issuer = DEFAULT,
    algorithm: Annotated[str | None, typer.Option("--algorithm", "-a", help="For a new issuer, e.g. ES256.")] = None,
    reason: Why = "routine",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Open a new issuer with an active and a standby key, or give an open one the standby it lacks."""
    with open_calls(home, create=True) as calls:
        answer = calls.create(issuer, algorithm=algorithm, reason=reason)
    if as_json:
        print_json(answer)
    else:
        _print_table(answer["keys"])


@app.command()
def rotate(
    issuer: Issuer = DEFAULT, reason: Why = "routine", force: Force = False, home: Home = None, as_json: Json = False
) -> None:
    """The standby key becomes active, the active one verifies only, a new standby is published."""
    with open_calls(home) as calls:
        _print_rotation(calls.rotate(issuer, reason=reason, force=force), as_json)


@app.command("emergency-rotate")
def emergency_rotate(
    reason: Must,
    issuer: Issuer = DEFAULT,
    key_id: Annotated[str | None, typer.Option("--kid", help="Refuse unless this is the active key.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Revoke the active key at once and sign with the standby: for a key that leaked."""
    with open_calls(home) as calls:
        _print_rotation(calls.emergency_rotate(issuer, key_id=key_id, reason=reason), as_json)


@app.command()
def activate(
    kid: KeyId, reason: Why = "routine", force: Force = False, home: Home = None, as_json: Json = False
) -> None:
    """Make a standby key the one that signs."""
    _move("activate", kid, reason, force, home, as_json)


@app.command()
def retire(kid: KeyId, reason: Why = "routine", force: Force = False, home: Home = None, as_json: Json = False) -> None:
    """Stop publishing a key whose last tokens have expired; restore undoes it."""
    _move("retire", kid, reason, force, home, as_json)


@app.command()
def restore(kid: KeyId, reason: Why = "routine", home: Home = None, as_json: Json = False) -> None:
    """Publish a retired key again."""
    _move("restore", kid, reason, False, home, as_json)


@app.command()
def revoke(kid: KeyId, reason: Must, home: Home = None, as_json: Json = False) -> None:
    """Refuse a key for ever, with every token it signed; the active one needs emergency-rotate."""
    _move("revoke", kid, reason, False, home, as_json)


@app.command()
def destroy(
    kid: KeyId, reason: Why = "routine", force: Force = False, home: Home = None, as_json: Json = False
) -> None:
    """Delete the private half of a retired key for good."""
    _move("destroy", kid, reason, force, home, as_json)


@app.command()
def hold(kid: KeyId, reason: Must, home: Home = None, as_json: Json = False) -> None:
    """Keep a key from being retired or destroyed, whatever the time says; release ends that."""
    _move("hold", kid, reason, False, home, as_json)


@app.command()
def release(kid: KeyId, reason: Why = "routine", home: Home = None, as_json: Json = False) -> None:
    """End a hold."""
    _move("release", kid, reason, False, home, as_json)


def _move(verb: str, kid: str, reason: str, force: bool, home: Home, as_json: bool) -> None:
    with open_calls(home) as calls:
        key = calls.move(verb, kid, reason=reason, force=force)
    if as_json:
        print_json(key)
    else:
        _print_table([key])


def _print_rotation(rotation: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(rotation)
    else:
        _print_table([rotation[name] for name in ("active", "standby", "previous") if rotation.get(name)])


def _print_table(keys: list[dict[str, Any]]) -> None:
    headings = ("ISSUER", "ALG", "STATE", "SINCE (UTC)", "LAST SIGNED (UTC)", "KID")
    print_table(headings, (_row(key) for key in keys))


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    state = key["state"]
    shown = f"[{_STYLES[state]}]{state}[/]" if state in _STYLES else state
    held = " (held)" if key.get("hold") else ""
    times = (_minute(key.get(name, "")) for name in (_SINCE[state], "last_signed_at"))
    issuer = key["issuer"] + ("" if key["purpose"] == "token" else f" ({key['purpose']})")
    return issuer, key["algorithm"], shown + held, *times, key["key_id"] or "(not made yet)"


def _minute(at: str) -> str:
    return at.replace("T", " ")[:16]
