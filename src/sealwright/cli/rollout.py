"""sealwright rollout: a new algorithm for an issuer, by share, and back with one command."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sealwright.cli.issuers import print_issuers
from sealwright.cli.options import DEFAULT, Force, Home, Issuer, Json, Why, print_json
from sealwright.cli.session import open_calls

app = typer.Typer(no_args_is_help=True, help="Roll a new algorithm out, by its share of signatures.")
Percent = typer.Option(min=0, max=100, help="The share of signatures by the new algorithm.")


@app.command()
def start(
    algorithm: Annotated[str, typer.Option("--algorithm", "-a", help="The new one, e.g. Ed25519.")],
    percent: Annotated[int, Percent] = 0,
    issuer: Issuer = DEFAULT,
    reason: Why = "routine",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make and publish a standby of the new algorithm; it signs nothing yet."""
    _step("start", issuer, home, as_json, algorithm=algorithm, percent=percent, reason=reason)


@app.command("set")
def set_share(
    percent: Annotated[int, Percent],
    issuer: Issuer = DEFAULT,
    reason: Why = "routine",
    force: Force = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Sign this share with the new algorithm, once every verifier can know its key."""
    _step("set", issuer, home, as_json, percent=percent, reason=reason, force=force)


@app.command()
def back(issuer: Issuer = DEFAULT, reason: Why = "routine", home: Home = None, as_json: Json = False) -> None:
    """Sign nothing more with the new algorithm, at once; its tokens still verify."""
    _step("back", issuer, home, as_json, reason=reason)


@app.command()
def finish(
    issuer: Issuer = DEFAULT, reason: Why = "routine", force: Force = False, home: Home = None, as_json: Json = False
) -> None:
    """Make the new algorithm the issuer's; the old key verifies only."""
    _step("finish", issuer, home, as_json, reason=reason, force=force)


@app.command()
def abort(issuer: Issuer = DEFAULT, reason: Why = "routine", home: Home = None, as_json: Json = False) -> None:
    """End the roll-out; keys of the new algorithm that never signed are retired, the others verify only."""
    _step("abort", issuer, home, as_json, reason=reason)


def _step(step: str, issuer: str, home: Home, as_json: bool, **asked: Any) -> None:
    with open_calls(home) as calls:
        answer = calls.rollout(issuer, step, **asked)
    if as_json:
        print_json(answer)
    else:
        print_issuers([answer])
