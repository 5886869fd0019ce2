"""sealwright keys: the life of keys."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from sealwright.cli import key_import, keys_ahead, proving
from sealwright.cli.key_table import print_keys
from sealwright.cli.options import DEFAULT, Approval, Force, Home, Issuer, Json, Must, Why, print_json, read_seconds
from sealwright.cli.session import open_calls

app = typer.Typer(no_args_is_help=True, help="List keys and move them through their life.")
app.command("import")(key_import.import_key)
app.command()(key_import.adopt)
app.command()(keys_ahead.plan)
app.command()(keys_ahead.orphans)
app.command()(proving.rehearse)
app.command()(proving.enforced)
KeyId = Annotated[str, typer.Argument(metavar="KID", help="The key's kid, as keys list shows it.")]
Which = Annotated[str | None, typer.Option("--algorithm", "-a", help="Which key is meant, during a roll-out.")]


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
        print_keys(answer["keys"])


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
        print_keys(answer["keys"])


@app.command()
def rotate(
    issuer: Issuer = DEFAULT,
    algorithm: Which = None,
    reason: Why = "routine",
    force: Force = False,
    approval: Approval = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The standby key becomes active, the active one verifies only, a new standby is published."""
    with open_calls(home) as calls:
        done = calls.rotate(issuer, reason=reason, force=force, algorithm=algorithm, approval=approval)
    _print_rotation(done, as_json)


@app.command("emergency-rotate")
def emergency_rotate(
    reason: Must,
    issuer: Issuer = DEFAULT,
    key_id: Annotated[str | None, typer.Option("--kid", help="Refuse unless this is the active key.")] = None,
    algorithm: Which = None,
    approval: Approval = None,
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="Without the approvals that the policy asks for: audited, and alerts.")
    ] = False,
    wait: Annotated[
        str | None,
        typer.Option(
            "--wait", metavar="[DURATION]", help="Wait until every verifier refuses the key; alone it is for 30s."
        ),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Revoke the active key at once and sign with the standby: for a key that leaked."""
    wait_s = None if wait is None else read_seconds(wait)
    with open_calls(home) as calls:
        named = {"key_id": key_id, "algorithm": algorithm}
        done = calls.emergency_rotate(issuer, reason=reason, approval=approval, break_glass=break_glass, **named)
        if wait_s is not None and not as_json:
            _print_rotation(done, as_json)  # what is done is said before anything is waited for
        proven = done if wait_s is None else proving.add_enforcement(calls, done, wait_s)
    if as_json or wait_s is None:
        _print_rotation(proven, as_json)
    if wait_s is not None:
        proving.end_of_emergency(proven["enforcement"], quiet=as_json)


@app.command()
def canary(kid: KeyId, home: Home = None, as_json: Json = False) -> None:
    """Print the token that a leaked key signed in its emergency, to see which verifiers still know the key."""
    with open_calls(home) as calls:
        answer = calls.canary(kid)
    if as_json:
        print_json(answer)
    else:
        sys.stdout.write(answer["token"] + "\n")


@app.command()
def activate(
    kid: KeyId,
    reason: Why = "routine",
    force: Force = False,
    approval: Approval = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a standby key the one that signs."""
    _move("activate", kid, home, as_json, reason=reason, force=force, approval=approval)


@app.command()
def retire(
    kid: KeyId,
    reason: Why = "routine",
    force: Force = False,
    approval: Approval = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Stop publishing a key whose last tokens have expired; restore undoes it."""
    _move("retire", kid, home, as_json, reason=reason, force=force, approval=approval)


@app.command()
def restore(
    kid: KeyId, reason: Why = "routine", approval: Approval = None, home: Home = None, as_json: Json = False
) -> None:
    """Publish a retired key again."""
    _move("restore", kid, home, as_json, reason=reason, force=False, approval=approval)


@app.command()
def revoke(kid: KeyId, reason: Must, approval: Approval = None, home: Home = None, as_json: Json = False) -> None:
    """Refuse a key for ever, with every token it signed; the active one needs emergency-rotate."""
    _move("revoke", kid, home, as_json, reason=reason, force=False, approval=approval)


@app.command()
def destroy(
    kid: KeyId,
    reason: Why = "routine",
    force: Force = False,
    approval: Approval = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Delete the private half of a retired key for good."""
    _move("destroy", kid, home, as_json, reason=reason, force=force, approval=approval)


@app.command()
def hold(kid: KeyId, reason: Must, home: Home = None, as_json: Json = False) -> None:
    """Keep a key from being retired or destroyed, whatever the time says; release ends that."""
    _move("hold", kid, home, as_json, reason=reason)


@app.command()
def release(kid: KeyId, reason: Why = "routine", home: Home = None, as_json: Json = False) -> None:
    """End a hold."""
    _move("release", kid, home, as_json, reason=reason)


def _move(verb: str, kid: str, home: Home, as_json: bool, **why: Any) -> None:
    with open_calls(home) as calls:
        key = calls.move(verb, kid, **why)
    if as_json:
        print_json(key)
    else:
        print_keys([key])


def _print_rotation(rotation: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(rotation)
    else:
        print_keys([rotation[name] for name in ("active", "standby", "previous") if rotation.get(name)])
