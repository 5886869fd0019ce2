"""From the table of an issuer to its policy, and what of a policy cannot be safe. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from sealwright.config.fields import LONGEST_TOKEN_S
from sealwright.config.tables import IssuerTable
from sealwright.jose.claims import MAXIMUM_LEEWAY_S
from sealwright.keys.policy import IssuerPolicy
from sealwright.keys.timings import KeyTimings


def policy_of(table: IssuerTable, defaults: Mapping[str, Any]) -> IssuerPolicy:
    """``defaults`` are the times of every issuer, by the names of KeyTimings."""
    timings = KeyTimings(**{**defaults, **table.times()})
    return IssuerPolicy(
        algorithm=table.algorithm,
        backend=table.backend,
        timings=timings,
        approvals=dict(table.approvals),
        delegated_lifetime_s=table.delegated_lifetime,
        delegated_x5c=table.delegated_x5c,
        owner=table.owner,
        pager=table.pager,
        runbook=table.runbook,
    )


def unsafe(policy: IssuerPolicy) -> Iterator[tuple[str, str]]:
    """The key at fault and why: what would strand tokens, stop rotation or overflow the published set."""
    timings = policy.timings
    if timings.longest_token_s > LONGEST_TOKEN_S:
        yield "longest_token", f"{_s(timings.longest_token_s)}, and a token lives {_s(LONGEST_TOKEN_S)} at most"
    if timings.leeway_s > MAXIMUM_LEEWAY_S:
        yield "leeway", f"{_s(timings.leeway_s)}, and {_s(MAXIMUM_LEEWAY_S)} is the most"
    if timings.rotation_period_s:
        yield from _unsafe_rotation(timings)


def _unsafe_rotation(timings: KeyTimings) -> Iterator[tuple[str, str]]:
    period_s, dwell_s = timings.rotation_period_s, timings.standby_dwell_s
    if dwell_s > period_s:
        yield (
            "rotation_period",
            f"a standby dwells {_s(dwell_s)} before it may sign, longer than {_s(period_s)}: rotate less often, "
            "or lower worst_consumer_cache and jwks_max_age",
        )
    alive = math.ceil(timings.verify_window_s / period_s) + 2  # with the active and the standby key
    if alive > timings.published_keys:
        yield (
            "rotation_period",
            f"rotating every {_s(period_s)} with {_s(timings.verify_window_s)} in verify_only publishes {alive} keys "
            f"at once, and published_keys is {timings.published_keys}: rotate less often, shorten verify_window "
            "and longest_token, or raise published_keys",
        )


def flat(policy: IssuerPolicy) -> dict[str, Any]:
    """Every part of a policy under a name of its own, as sealwright.toml has it, to compare and to show."""
    facts = asdict(policy)
    times = {_file_name(name): value for name, value in facts.pop("timings").items()}
    return {**facts, "approvals": dict(policy.approvals), **times}


def _file_name(name: str) -> str:
    return "verify_window" if name == "verify_window_floor_s" else name.removesuffix("_s")


def _s(seconds: float) -> str:
    return f"{seconds:g} s"
