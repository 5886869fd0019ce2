"""sealwright verify: accepted, rejected or undecided, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.options import Home, Json, print_json, read_bytes, read_token
from sealwright.cli.session import open_calls
from sealwright.errors import Reason, RejectedError
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.key_source import KeySource
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.verifier import Verifier

EXIT_CODES = {"accepted": 0, "rejected": 1, "undecided": 3}


def verify(
    audience: Annotated[str, typer.Option("--audience", "-a", help="Who you are: the token must name you in aud.")],
    token: Annotated[str, typer.Argument(metavar="FILE", help="A file with the token, or - for standard input.")] = "-",
    issuer: Annotated[
        str | None, typer.Option("--issuer", "-i", help="With --jwks: the issuer URL that the token must name.")
    ] = None,
    jwks: Annotated[
        str | None, typer.Option("--jwks", help="A JWKS URL or file, to verify without a Sealwright service.")
    ] = None,
    algorithm: Annotated[
        list[str] | None, typer.Option("--algorithm", help="With --jwks: allow only this; may be repeated.")
    ] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="A scope it must have; may be repeated.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Verify a token. Exit code 0: accepted, 1: rejected, 3: undecided.

    Tokens are read from a file or standard input, so that they stay out of the shell's history.
    """
    text = read_token(token)
    if jwks is None:
        with open_calls(home) as calls:
            decision = calls.verify(text.decode("utf-8", "replace"), audience=audience, scopes=scope or ())
    else:
        decision = _decide_alone(text, _policy(issuer, audience, algorithm), jwks, scope or [])
    if as_json:
        print_json(decision)
    else:
        _print_decision(decision)
    raise typer.Exit(EXIT_CODES[decision["outcome"]])


def _policy(issuer: str | None, audience: str, algorithms: list[str] | None) -> VerificationPolicy:
    if issuer is None:
        raise RejectedError(Reason.REQUEST_MALFORMED, "--jwks needs --issuer: whose tokens do these keys verify?")
    allowed = frozenset(algorithms) if algorithms else ASYMMETRIC
    return VerificationPolicy(issuer=issuer, audience=audience, algorithms=allowed)


def _decide_alone(token: bytes, policy: VerificationPolicy, jwks: str, scopes: list[str]) -> dict[str, Any]:
    with Verifier(issuers=[TrustedIssuer(policy, _source(jwks))]) as verifier:
        return verifier.decide(token, scopes=frozenset(scopes)).to_dict()


def _source(jwks: str) -> KeySource:
    if jwks.startswith(("https://", "http://")):
        return RemoteJWKSet(jwks)
    return StaticKeys(JWKSet.from_json(read_bytes(str(Path(jwks)))))


def _print_decision(decision: dict[str, Any]) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if decision["outcome"] == "accepted":
        console.print("accepted", style="bold green", end="")
        console.print(f"  {decision['algorithm']} key {decision['key_id']} of {decision['issuer']}")
        console.print_json(data=decision["claims"])
    else:
        console.print(decision["outcome"], style="bold red", end="")
        console.print(f"  {decision['reason']}: {decision['message']}")
