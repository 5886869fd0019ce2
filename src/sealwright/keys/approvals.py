"""Approvals: a move that other people must agree to first; used up in the transaction of the move itself."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sealwright.clock import Clock
from sealwright.errors import Reason, RefusedError
from sealwright.jose import strict_json
from sealwright.keys import guards
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import Document, KeyCatalog, Put, Remove
from sealwright.keys.policy import Policies

KIND = "approval"
LIFETIME_S = 3600.0
KEPT_S = 86_400.0  # after its end, for whoever wonders; the audit has it for ever
POLICY = "policy"  # the action of changing how many must approve: as many as for whatever needs most now
OWNER = "operator"  # whoever holds the data folder, as its credential calls them


@dataclass(frozen=True, slots=True)
class Asked:
    """A move as approvers see it. An approval is good for exactly this one, of exactly this caller."""

    issuer: str
    action: str  # activate, retire, restore, revoke, destroy, emergency or policy
    subject: str  # the kid that moves; for an emergency the one that leaked; for a policy its new approvals
    requester: str
    reason: str
    force: bool = False

    @property
    def digest(self) -> str:
        return hashlib.sha256(strict_json.encode_object(asdict(self))).hexdigest()


@dataclass(frozen=True, slots=True)
class Approval:
    """A request for approval, and what became of it. Times in seconds since the epoch."""

    id: str
    asked: Asked
    digest: str
    needed: int
    created_at: float
    expires_at: float
    granted_by: Sequence[str] = ()
    denied_by: str | None = None
    used_at: float | None = None

    def status(self, now: float) -> str:
        """used, denied, expired, granted or open."""
        ended = "used" if self.used_at is not None else "denied" if self.denied_by is not None else ""
        waiting = "granted" if len(self.granted_by) >= self.needed else "open"
        return ended or ("expired" if now >= self.expires_at else waiting)

    def check_alive(self, now: float) -> None:
        """Raises RefusedError ``approval.ended``."""
        if (status := self.status(now)) not in ("granted", "open"):
            raise RefusedError(Reason.APPROVAL_ENDED, f"this approval is {status}: ask for a new one")


@dataclass(frozen=True, slots=True)
class Used:
    """What a move writes together with itself: arguments of ``Journal.write``."""

    written: Mapping[str, Any] = field(default_factory=dict)


class Approvals:
    """Requests for approval as documents of the catalog. Every change is a compare-and-set, and audited."""

    def __init__(self, catalog: KeyCatalog, policies: Policies, clock: Clock) -> None:
        self._catalog = catalog
        self._policies = policies
        self._clock = clock

    def all(self) -> list[Approval]:
        """Oldest first; those that ended long ago are gone."""
        found = [_approval(document) for document in self._catalog.documents(KIND).values()]
        return sorted(found, key=lambda approval: (approval.created_at, approval.id))

    def grant(self, approval_id: str, *, actor: str) -> Approval:
        """One more person agrees. Raises RefusedError ``approval.*``."""
        approval, generation = self._find(approval_id)
        approval.check_alive(self._clock.now())
        if any(same_person(actor, somebody) for somebody in (approval.asked.requester, *approval.granted_by)):
            message = "somebody else must approve: neither who asked, nor who approved already"
            raise RefusedError(Reason.APPROVAL_SAME_PERSON, message)
        granted = replace(approval, granted_by=[*approval.granted_by, actor])
        self._write(granted, generation, "approval.granted", actor, approval.asked.reason)
        return granted

    def deny(self, approval_id: str, *, actor: str, reason: str) -> Approval:
        """Nobody can use it from now on. Raises RefusedError ``approval.*`` or ``move.reason_missing``."""
        guards.check_reason(reason)
        approval, generation = self._find(approval_id)
        approval.check_alive(self._clock.now())
        denied = replace(approval, denied_by=actor)
        self._write(denied, generation, "approval.denied", actor, reason)
        return denied

    def use(self, asked: Asked, forced: Sequence[str], approval_id: str | None) -> Used:
        """What to write with a move that is allowed otherwise; the move decides whether it is used up.

        Raises RefusedError ``guard.approvals`` when there are too few; without an id the request is recorded.
        """
        needed = self._needed(asked, forced)
        if not needed:
            return Used({"forced": forced})
        if approval_id is None:
            raise _too_few(self._requested(asked, needed), needed)
        approval, generation = self._find(approval_id)
        approval.check_alive(self._clock.now())
        if approval.digest != asked.digest:
            message = "that approval is for another move: repeat the same command, with the same reason"
            raise RefusedError(Reason.GUARD_APPROVALS, message)
        if len(approval.granted_by) < needed:
            raise _too_few(approval, needed)
        used = _put(replace(approval, used_at=self._clock.now()), generation + 1)
        facts = {"forced": forced, "approvals": list(approval.granted_by), "approval": approval.id}
        return Used({"documents": [used], **facts})

    def use_one_of(self, asked: Asked, approval_ids: Sequence[str]) -> Used:
        """As ``use``, with the approval among these that is about this action of this issuer."""
        same = (one.id for one in self.all() if (one.asked.issuer, one.asked.action) == (asked.issuer, asked.action))
        return self.use(asked, (), next((one for one in same if one in approval_ids), None))

    def _needed(self, asked: Asked, forced: Sequence[str]) -> int:
        numbers = {str(action): number for action, number in self._policies.of(asked.issuer).approvals.items()}
        if asked.action == POLICY:
            return max(numbers.values(), default=0)
        return max(numbers.get(asked.action, 0), numbers.get("force", 0) if forced else 0)

    def _requested(self, asked: Asked, needed: int) -> Approval:
        """The same request again is the same one, so that impatience does not fill the catalog."""
        now = self._clock.now()
        for approval in self.all():
            if approval.digest == asked.digest and approval.status(now) in ("open", "granted"):
                return approval
        approval = Approval(secrets.token_hex(8), asked, asked.digest, needed, now, now + LIFETIME_S)
        self._write(approval, 0, "approval.requested", asked.requester, asked.reason)
        return approval

    def _write(self, approval: Approval, generation: int, action: str, actor: str, reason: str) -> None:
        now, asked = self._clock.now(), approval.asked
        facts = {"approval": approval.id, "move": asked.action, "force": asked.force, "needed": approval.needed}
        entry = AuditEntry(now, actor, action, asked.issuer, asked.subject, reason, facts)
        old = (document for document in self._catalog.documents(KIND).values() if document.name != approval.id)
        gone = [Remove(document) for document in old if now >= _approval(document).expires_at + KEPT_S]
        self._catalog.commit([_put(approval, generation + 1), *gone], entry)

    def _find(self, approval_id: str) -> tuple[Approval, int]:
        document = self._catalog.document(KIND, approval_id)
        if document is None:
            raise RefusedError(Reason.APPROVAL_UNKNOWN, "there is no approval with this id: approvals list shows them")
        return _approval(document), document.generation


def same_person(one: str, other: str) -> bool:
    """Everybody who works in the data folder is its one owner, by whatever way."""
    return _person(one) == _person(other)


def _person(actor: str) -> str:
    return OWNER if actor.startswith("cli:") else actor


def _too_few(approval: Approval, needed: int) -> RefusedError:
    have = len(approval.granted_by)
    return RefusedError(
        Reason.GUARD_APPROVALS,
        f"this needs the approval of {needed} other people and has {have}. It is recorded as {approval.id}: "
        f"sealwright approvals grant {approval.id}, then the same command with --approval {approval.id}",
    )


def _put(approval: Approval, generation: int) -> Put:
    return Put(Document(KIND, approval.id, asdict(approval), generation))


def _approval(document: Document) -> Approval:
    body = dict(document.body)
    return Approval(**{**body, "asked": Asked(**body["asked"])})
