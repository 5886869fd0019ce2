"""What can be asked of issuers, in JSON terms: who answers for them, their policies, and roll-outs of algorithms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sealwright.config.fields import BackendName
from sealwright.config.tables import IssuerTable
from sealwright.errors import Reason, RejectedError
from sealwright.settings import IssuerName, Timings
from sealwright.wiring.single_process import SingleProcess

STEPS = ("start", "set", "back", "finish", "abort")


class WantedPolicies(BaseModel):
    """What a sealwright.toml says of issuers: their tables, the times of those that say nothing, its backends."""

    model_config = ConfigDict(extra="forbid")

    issuers: dict[IssuerName, IssuerTable]
    timings: Timings = Timings()
    backends: list[BackendName] = []


class IssuerOperations:
    """Every method answers JSON-ready data, and is audited under the name of the actor."""

    def __init__(self, process: SingleProcess, actor: str) -> None:
        self._process = process
        self._actor = actor

    def issuers(self) -> dict[str, Any]:
        """Every open issuer: what it signs with, where its keys are, and who answers for it."""
        return {"issuers": [self._issuer(name) for name in self._process.publications.issuers()]}

    def plan_policies(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What applying these policies would change. RejectedError ``request.malformed``."""
        asked = _parsed(wanted)
        return self._process.plan(asked.issuers, asked.timings, asked.backends)[1].to_dict()

    def apply_policies(
        self, wanted: Mapping[str, Any], *, reason: str, approvals: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Make it so; answers with what was changed. Raises as ``Applying.apply``."""
        asked = _parsed(wanted)
        policies, plan = self._process.plan(asked.issuers, asked.timings, asked.backends)
        self._process.applying.apply(policies, plan, actor=self._actor, reason=reason, approvals=approvals)
        return plan.to_dict()

    def rollout(self, issuer: str, step: str, *, algorithm: str = "", percent: int = 0, **asked: Any) -> dict[str, Any]:
        """One step of a roll-out: start, set, back, finish or abort. Answers with the issuer as it is then."""
        rollouts = self._process.signing.lifecycle.rollouts
        asked = {**asked, "actor": self._actor}
        if step == "start":
            rollouts.start(issuer, algorithm, **asked)
        if step == "set" or (step == "start" and percent):
            rollouts.set_share(issuer, percent, **asked)
        if step in ("back", "finish", "abort"):
            getattr(rollouts, step)(issuer, **asked)
        return self._issuer(issuer)

    def _issuer(self, name: str) -> dict[str, Any]:
        lifecycle, policy = self._process.signing.lifecycle, self._process.policies.of(name)
        rollout = lifecycle.rollouts.find(name)
        return {
            "issuer": name,
            "iss": self._process.issuer_url(name),
            "algorithms": lifecycle.algorithms(name),
            "backend": policy.backend,
            "policy": "applied" if name in self._process.policies.applied() else "settings",
            "owner": policy.owner,
            "pager": policy.pager,
            "runbook": policy.runbook,
            "approvals": dict(policy.approvals),
            "rotation_period_s": policy.timings.rotation_period_s,
            "longest_token_s": policy.timings.longest_token_s,
            "rollout": None if rollout is None else {k: v for k, v in asdict(rollout).items() if k != "generation"},
        }


def _parsed(wanted: Mapping[str, Any]) -> WantedPolicies:
    try:
        return WantedPolicies.model_validate(wanted)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()
        )
        raise RejectedError(Reason.REQUEST_MALFORMED, f"these policies are malformed: {faults}") from None
