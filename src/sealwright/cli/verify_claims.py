"""sealwright verify: a decision over a token and its claims, by a Verifier, the service or the data folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from sealwright.cli.options import print_json, print_table, printable, read_bytes
from sealwright.cli.session import open_calls
from sealwright.cli.verify_lines import Decide, verify_lines
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a token must say, and who decides: ``jwks`` None asks the service or the data folder."""

    audience: str
    issuer: str | None
    jwks: str | None
    algorithms: Sequence[str]
    scopes: Sequence[str]
    home: Path | None
    explain: bool = False

    @contextlib.contextmanager
    def deciding(self) -> Iterator[Decide]:
        """One Verifier, service or folder for as many tokens as there are."""
        if self.jwks is not None:
            with Verifier(issuers=[TrustedIssuer(self._policy(), _source(self.jwks))]) as verifier:
                yield lambda token: self._decided(verifier, token)
            return
        with open_calls(self.home) as calls:
            yield lambda token: calls.verify(
                token.decode("utf-8", "replace"), audience=self.audience, scopes=self.scopes, explain=self.explain
            )

    def _decided(self, verifier: Verifier, token: bytes) -> dict[str, Any]:
        return verifier.decide(token, scopes=frozenset(self.scopes), explain=self.explain).to_dict()

    def _policy(self) -> VerificationPolicy:
        if self.issuer is None:
            raise RejectedError(Reason.REQUEST_MALFORMED, "--jwks needs --issuer: whose tokens do these keys verify?")
        allowed = frozenset(self.algorithms) if self.algorithms else ASYMMETRIC
        return VerificationPolicy(issuer=self.issuer, audience=self.audience, algorithms=allowed)


def given(audience: str | None) -> str:
    """Raises wrong usage, exit code 2, where nobody said who they are."""
    if audience is None:
        raise typer.BadParameter("say who you are, or prove signatures only with --keys", param_hint="--audience")
    return audience


def decide_one(token: bytes, wanted: Wanted, *, as_json: bool) -> str:
    """Print the decision over one token; its outcome."""
    with wanted.deciding() as decide:
        decision = decide(token)
    if as_json:
        print_json(decision)
    else:
        _print_steps(decision.get("steps", ()))
        _print(decision)
    return str(decision["outcome"])


def decide_lines(lines: str, wanted: Wanted) -> str:
    with wanted.deciding() as decide:
        return verify_lines(lines, decide)


def _source(jwks: str) -> KeySource:
    if jwks.startswith(("https://", "http://")):
        return RemoteJWKSet(jwks)
    return StaticKeys(JWKSet.from_json(read_bytes(jwks)))


def _print_steps(steps: Sequence[dict[str, Any]]) -> None:
    if steps:
        rows = ((one["check"], one["expected"], printable(one["found"]), one["reason"] or "ok") for one in steps)
        print_table(("CHECK", "EXPECTED", "FOUND", "RESULT"), rows)


def _print(decision: dict[str, Any]) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if decision["outcome"] == "accepted":
        console.print("accepted", style="bold green", end="")
        console.print(f"  {decision['algorithm']} key {decision['key_id']} of {decision['issuer']}")
        console.print_json(data=decision["claims"])
    else:
        console.print(decision["outcome"], style="bold red", end="")
        console.print(f"  {decision['reason']}: {decision['message']}")
