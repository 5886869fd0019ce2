"""sealwright verify: accepted, rejected or undecided, and why."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwright.cli.options import Home, Json, check_one_stdin, leave_out, print_json, read_bytes, read_token
from sealwright.cli.session import open_calls
from sealwright.cli.verify_lines import Decide, verify_lines
from sealwright.cli.verify_signatures import Proof, to_dict, verify_one
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
_SIGNATURES = "Signatures only: no claim is checked, no issuer, no audience and no expiry"


def verify(
    token: Annotated[str, typer.Argument(metavar="FILE", help="A file with the token, or - for standard input.")] = "-",
    audience: Annotated[
        str | None, typer.Option("--audience", "-a", help="Who you are: the token must name you in aud.")
    ] = None,
    issuer: Annotated[
        str | None, typer.Option("--issuer", "-i", help="With --jwks: the issuer URL that the token must name.")
    ] = None,
    jwks: Annotated[
        str | None, typer.Option("--jwks", help="A JWKS URL or file, to verify without a Sealwright service.")
    ] = None,
    algorithm: Annotated[
        list[str] | None, typer.Option("--algorithm", help="With --jwks or --keys: allow only this; may be repeated.")
    ] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="A scope it must have; may be repeated.")] = None,
    lines: Annotated[
        str | None, typer.Option("--lines", help="A file, or -, with one token a line; prints one JSON result a line.")
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--keys", rich_help_panel=_SIGNATURES, help="A JWK, JWK Set, PEM, DER or OpenSSH key: a file or an URL."
        ),
    ] = None,
    content: Annotated[
        str | None, typer.Option("--content", rich_help_panel=_SIGNATURES, help="The detached content: a file or -.")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option("--policy", rich_help_panel=_SIGNATURES, help="any, every, or how many signers; for several."),
    ] = None,
    signer: Annotated[
        list[str] | None,
        typer.Option("--signer", rich_help_panel=_SIGNATURES, help="A kid that must have signed; may be repeated."),
    ] = None,
    hybrid: Annotated[
        bool,
        typer.Option("--hybrid", rich_help_panel=_SIGNATURES, help="A classical and an ML-DSA signature must hold."),
    ] = False,
    out: Annotated[
        str | None,
        typer.Option("--out", rich_help_panel=_SIGNATURES, help="Write the verified payload to a file, or -."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Verify a token. Exit code 0: accepted, 1: rejected, 3: undecided.

    With --keys, prove the signatures of a JWS in any form; its claims are not looked at.

    With --lines, exit code 0: all accepted, 1: any rejected, 3: none rejected and any undecided.

    Tokens are read from a file or standard input, so that they stay out of the shell's history.
    """
    if lines is not None:
        leave_out("--lines reads its tokens from its own file", FILE=token != "-", content=content, out=out)
    source = token if lines is None else lines
    if keys:
        why = "--keys proves signatures only"
        leave_out(why, audience=audience, issuer=issuer, jwks=jwks, scope=scope, home=home)
        check_one_stdin(source, content, *keys)
        proof = Proof.read(keys, algorithms=algorithm or (), policy=policy, signers=signer or (), hybrid=hybrid)
        if lines is None:
            outcome = verify_one(token, proof, content=content, out=out, as_json=as_json)
        else:
            outcome = verify_lines(lines, lambda text: to_dict(proof.decide(text)))
    else:
        why = "these options are for signatures, with --keys FILE"
        leave_out(why, content=content, policy=policy, signer=signer, hybrid=hybrid, out=out)
        with _deciding(audience, issuer, jwks, algorithm, scope or [], home) as decide:
            outcome = _decide_one(token, decide, as_json) if lines is None else verify_lines(lines, decide)
    raise typer.Exit(EXIT_CODES[outcome])


@contextlib.contextmanager
def _deciding(
    audience: str | None,
    issuer: str | None,
    jwks: str | None,
    algorithms: list[str] | None,
    scopes: list[str],
    home: Path | None,
) -> Iterator[Decide]:
    """Whoever decides: one Verifier for a JWKS, or the service or the data folder."""
    if audience is None:
        raise typer.BadParameter("say who you are, or prove signatures only with --keys", param_hint="--audience")
    if jwks is not None:
        with Verifier(issuers=[TrustedIssuer(_policy(issuer, audience, algorithms), _source(jwks))]) as verifier:
            yield lambda token: verifier.decide(token, scopes=frozenset(scopes)).to_dict()
    else:
        with open_calls(home) as calls:
            yield lambda token: calls.verify(token.decode("utf-8", "replace"), audience=audience, scopes=scopes)


def _policy(issuer: str | None, audience: str, algorithms: list[str] | None) -> VerificationPolicy:
    if issuer is None:
        raise RejectedError(Reason.REQUEST_MALFORMED, "--jwks needs --issuer: whose tokens do these keys verify?")
    allowed = frozenset(algorithms) if algorithms else ASYMMETRIC
    return VerificationPolicy(issuer=issuer, audience=audience, algorithms=allowed)


def _source(jwks: str) -> KeySource:
    if jwks.startswith(("https://", "http://")):
        return RemoteJWKSet(jwks)
    return StaticKeys(JWKSet.from_json(read_bytes(str(Path(jwks)))))


def _decide_one(token: str, decide: Decide, as_json: bool) -> str:
    decision = decide(read_token(token))
    if as_json:
        print_json(decision)
    else:
        _print_decision(decision)
    return str(decision["outcome"])


def _print_decision(decision: dict[str, Any]) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if decision["outcome"] == "accepted":
        console.print("accepted", style="bold green", end="")
        console.print(f"  {decision['algorithm']} key {decision['key_id']} of {decision['issuer']}")
        console.print_json(data=decision["claims"])
    else:
        console.print(decision["outcome"], style="bold red", end="")
        console.print(f"  {decision['reason']}: {decision['message']}")
