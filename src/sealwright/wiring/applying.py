"""Applying: what a file of policies would change, and making it so. Leaving an issuer out closes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sealwright.clock import Clock
from sealwright.config.policies import flat, unsafe
from sealwright.errors import Reason, RefusedError
from sealwright.keys.applied_policies import CatalogPolicies, policy_put
from sealwright.keys.approvals import POLICY, Approvals, Asked, Used
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.policy import IssuerPolicy
from sealwright.keys.shares import usual_algorithm

Wanted = Mapping[str, IssuerPolicy]
Changes = dict[str, tuple[Any, Any]]  # what runs, and what the file says
Open = Callable[[str, str, str], None]  # issuer, actor, reason


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between a file and what runs. ``refused`` stands in the way of applying it."""

    to_open: Wanted
    changed: Mapping[str, Changes]
    not_in_file: list[str]
    backends_missing: list[str]
    refused: list[tuple[str, Reason, str]]

    @property
    def in_sync(self) -> bool:
        return not (self.to_open or self.changed or self.backends_missing or self.refused)

    def to_dict(self) -> dict[str, Any]:
        changes = [(issuer, name, pair) for issuer, changed in self.changed.items() for name, pair in changed.items()]
        return {
            "in_sync": self.in_sync,
            "issuers_to_open": [{"issuer": name, **flat(policy)} for name, policy in self.to_open.items()],
            "changes": [{"issuer": i, "name": name, "now": now, "file": file} for i, name, (now, file) in changes],
            "not_in_file": self.not_in_file,
            "backends_missing": self.backends_missing,
            "refused": [{"issuer": name, "reason": str(why), "message": text} for name, why, text in self.refused],
        }


class Applying:
    """Compares policies with what runs here, and applies them."""

    def __init__(
        self,
        catalog: KeyCatalog,
        policies: CatalogPolicies,
        backends: Collection[str],
        clock: Clock,
        open_issuer: Open,
        *,
        approvals: Approvals,
    ) -> None:
        self._approvals = approvals
        self._catalog = catalog
        self._policies = policies
        self._backends = backends
        self._clock = clock
        self._open = open_issuer

    def plan(self, wanted: Wanted, backends: Collection[str], reserved: Collection[str] = ()) -> Plan:
        """``backends`` are those of the file, and ``reserved`` the issuers that no file is about."""
        running = self._running()
        to_open = {name: policy for name, policy in wanted.items() if name not in running}
        compared = {name: self._changes(name, wanted[name]) for name in wanted if name in running}
        return Plan(
            to_open,
            {name: changes for name, changes in compared.items() if changes},
            sorted(running.keys() - wanted.keys() - set(reserved)),
            sorted(set(backends) - set(self._backends)),
            [fault for name, policy in wanted.items() for fault in self._refused(name, policy, running, reserved)],
        )

    def apply(self, wanted: Wanted, plan: Plan, *, actor: str, reason: str, approvals: Sequence[str] = ()) -> None:
        """One transaction for each policy that changes, each with its audit entry; then new issuers are opened.

        Raises RefusedError ``guard.algorithm``, ``guard.policy`` or ``guard.approvals`` before anything is applied.
        """
        if plan.refused:
            raise RefusedError(plan.refused[0][1], "; ".join(f"{name}: {text}" for name, _, text in plan.refused))
        agreed = self._agreed(wanted, actor, reason, approvals)
        for name, changes in plan.changed.items():
            self._store(name, wanted[name], changes, (actor, reason), agreed.get(name, Used()))
        for name, policy in plan.to_open.items():
            self.open(name, policy, actor=actor, reason=reason, used=agreed.get(name, Used()))

    def open(self, issuer: str, policy: IssuerPolicy, *, actor: str, reason: str, used: Used | None = None) -> None:
        """The policy comes first, so that the issuer never lives by another one."""
        changes = {name: (None, value) for name, value in flat(policy).items()}
        if self._policies.applied().get(issuer) != policy:
            self._store(issuer, policy, changes, (actor, reason), used or Used())
        self._open(issuer, actor, reason)

    def _agreed(self, wanted: Wanted, actor: str, reason: str, approvals: Sequence[str]) -> dict[str, Used]:
        """How many must approve is not changed by one person. Requests for all issuers are recorded at once."""
        agreed: dict[str, Used] = {}
        refusals: list[RefusedError] = []
        for name, policy in wanted.items():
            if (asks := _asks(policy)) != _asks(self._policies.of(name)):
                asked = Asked(name, POLICY, f"approvals {asks}", actor, reason)
                try:
                    agreed[name] = self._approvals.use_one_of(asked, approvals)
                except RefusedError as refused:
                    refusals.append(refused)
        if refusals:
            raise RefusedError(refusals[0].reason, "; ".join(refused.message for refused in refusals))
        return agreed

    def _store(self, issuer: str, policy: IssuerPolicy, changes: Changes, why: tuple[str, str], used: Used) -> None:
        actor, reason = why
        written = {name: value for name, value in used.written.items() if value}
        documents = written.pop("documents", ())
        facts = {"changes": {name: list(pair) for name, pair in changes.items()}, **written}
        entry = AuditEntry(self._clock.now(), actor, "policy.applied", issuer, None, reason, facts)
        self._catalog.commit([policy_put(self._catalog, issuer, policy), *documents], entry)

    def _changes(self, issuer: str, wanted: IssuerPolicy) -> Changes:
        """The algorithm is not compared with the policy but with the keys: _refused."""
        before, after = flat(self._policies.of(issuer)), flat(wanted)
        changes = {n: (before[n], after[n]) for n in after if before[n] != after[n] and n != "algorithm"}
        if issuer not in self._policies.applied():
            changes = {"policy": ("of the settings", "of the file"), **changes}
        return changes

    def _refused(
        self, issuer: str, policy: IssuerPolicy, running: Mapping[str, str], reserved: Collection[str]
    ) -> Iterator[tuple[str, Reason, str]]:
        if issuer in reserved:
            yield issuer, Reason.GUARD_POLICY, "this issuer is the service's own, and no file is about it"
        if policy.backend not in self._backends:
            message = f"the backend {policy.backend} is not open here: restart the service with the new file first"
            yield issuer, Reason.GUARD_POLICY, message
        for name, message in unsafe(policy):
            yield issuer, Reason.GUARD_POLICY, f"{name}: {message}"
        now = running.get(issuer, policy.algorithm)
        if now != policy.algorithm:
            message = (
                f"it signs with {now}, and the file says {policy.algorithm}: "
                f"sealwright rollout start --issuer {issuer} --algorithm {policy.algorithm}"
            )
            yield issuer, Reason.GUARD_ALGORITHM, message

    def _running(self) -> dict[str, str]:
        """Every open issuer, and what it signs with."""
        alive = [r for r in self._catalog.records() if r.published and r.purpose == "token" and r.activated_at]
        newest = {record.issuer: record.algorithm for record in sorted(alive, key=lambda r: r.activated_at or 0.0)}
        return {name: usual_algorithm(self._catalog, name) or algorithm for name, algorithm in newest.items()}


def _asks(policy: IssuerPolicy) -> dict[str, int]:
    """Numbers of approvals in a fixed order; none is the same as 0."""
    return {str(action): number for action, number in sorted(policy.approvals.items()) if number}
