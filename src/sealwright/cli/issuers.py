"""sealwright issuers: what each signs with, and who answers for it."""

from __future__ import annotations

from typing import Any

from sealwright.cli.options import Home, Json, print_json, print_table, printable
from sealwright.cli.session import open_calls


def issuers(home: Home = None, as_json: Json = False) -> None:
    """Show every issuer: its algorithm, a roll-out, its backend, its owner, pager and runbook."""
    with open_calls(home) as calls:
        answer = calls.issuers()
    if as_json:
        print_json(answer)
    else:
        print_issuers(answer["issuers"])


def print_issuers(found: list[dict[str, Any]]) -> None:
    headings = ("ISSUER", "ALG", "ROLL-OUT", "BACKEND", "POLICY", "OWNER", "PAGER", "RUNBOOK")
    print_table(headings, (_row(issuer) for issuer in found))


def _row(issuer: dict[str, Any]) -> tuple[str, ...]:
    rollout = issuer["rollout"]
    usual = rollout["before"] if rollout else " ".join(issuer["algorithms"])
    share = f"{rollout['algorithm']} {rollout['percent']} %" if rollout else ""
    people = (printable(issuer[name]) for name in ("owner", "pager", "runbook"))
    return issuer["issuer"], usual, share, issuer["backend"], issuer["policy"], *people
