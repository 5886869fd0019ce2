"""Credentials and approvals in JSON terms: who may act, for how long, and what other people agreed to."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.keys import guards
from sealwright.keys.approvals import OWNER, Approval
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import Document, Put, Remove, put_over
from sealwright.services import roles as known
from sealwright.services.access_facts import DENIED
from sealwright.services.credentials import OPERATOR_SCOPES
from sealwright.services.key_service.times import written
from sealwright.settings import INTERNAL_ISSUER
from sealwright.wiring.single_process import SingleProcess

LONGEST_S = 900.0
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/+-]{0,99}")  # no colon: cli:NAME is somebody on the machine itself
_OURS = frozenset({OWNER, "sealwright", "unknown"})  # names of actors that no credential may take
Issue = Callable[[str, Mapping[str, Any], str, float], dict[str, Any]]


class AccessOperations:
    """Every method answers JSON-ready data, and what it changes is audited under the name of the actor."""

    def __init__(self, process: SingleProcess, actor: str, issue: Issue) -> None:
        self._process = process
        self._catalog = process.signing.catalog
        self._approvals = process.signing.lifecycle.approvals
        self._actor = actor
        self._issue = issue

    def issue(
        self,
        subject: str,
        *,
        roles: Sequence[str],
        issuers: Sequence[str] = (),
        lifetime_s: float | None = None,
        held: Collection[str] = OPERATOR_SCOPES,
    ) -> dict[str, Any]:
        """A credential with the scopes of the roles, all of them ``held`` by whoever asks."""
        if not _SUBJECT.fullmatch(subject) or subject in _OURS:
            message = "a subject is 1 to 100 letters, digits or ._@/+- and not a name of the service itself"
            raise RejectedError(Reason.REQUEST_MALFORMED, message)
        scopes = known.scopes_of(roles, issuers)
        known.check_covered(held, scopes)
        if self._catalog.document(DENIED, subject) is not None:
            raise RefusedError(Reason.CREDENTIAL_DENIED, "this subject was denied: credentials allow undoes that")
        lifetime_s = self._longest_s() if lifetime_s is None else lifetime_s
        return self._signed(subject, scopes, self._process.clock.now(), lifetime_s)

    def renew(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """The same subject and scopes again, for as long as the first issue is not too long ago.

        One that can only report what a verifier does is renewed for as long as its holder lives: it ends with the first
        of its lives that nobody renews, or with a denial.
        """
        first = claims.get("auth_time")
        if not isinstance(first, int):
            message = "this credential is renewed by the service that wrote it: read its file again"
            raise RefusedError(Reason.CREDENTIAL_RENEWAL, message)
        scopes = claims["scope"].split()
        left_s = self._renewable_s(scopes, first)
        lifetime_s = min(claims["exp"] - claims["iat"], left_s, self._longest_s())
        if lifetime_s < 1:
            message = "this credential was renewed for as long as that is possible: ask for a new one"
            raise RefusedError(Reason.CREDENTIAL_RENEWAL, message)
        return self._signed(claims["sub"], scopes, first, lifetime_s)

    def deny(self, subject: str, *, reason: str) -> dict[str, Any]:
        """Refuse every credential of a subject from now on, and issue none."""
        guards.check_reason(reason)
        if subject == OWNER:
            message = "the operator credential cannot be denied: emergency-rotate the issuer internal to end all others"
            raise RejectedError(Reason.REQUEST_MALFORMED, message)
        stored = self._catalog.document(DENIED, subject)
        body = {"reason": reason, "denied_by": self._actor, "denied_at": self._process.clock.now()}
        denial = put_over(stored, DENIED, subject, body)
        self._write([denial], "credential.denied", reason, {"subject": subject})
        return _denied(denial.document)

    def allow(self, subject: str, *, reason: str) -> dict[str, Any]:
        """Undo a denial."""
        guards.check_reason(reason)
        stored = self._catalog.document(DENIED, subject)
        if stored is None:
            raise RefusedError(Reason.REQUEST_NOT_FOUND, "this subject is not denied")
        self._write([Remove(stored)], "credential.allowed", reason, {"subject": subject})
        return {"subject": subject}

    def denied(self) -> dict[str, Any]:
        return {"denied": [_denied(document) for document in self._catalog.documents(DENIED).values()]}

    def approvals(self, *, only: Collection[str] | None = None) -> dict[str, Any]:
        """``only`` leaves out requests about other issuers."""
        found = [approval for approval in self._approvals.all() if only is None or approval.asked.issuer in only]
        return {"approvals": [self._view(approval) for approval in found]}

    def grant(self, approval_id: str) -> dict[str, Any]:
        return self._view(self._approvals.grant(approval_id, actor=self._actor))

    def deny_approval(self, approval_id: str, *, reason: str) -> dict[str, Any]:
        return self._view(self._approvals.deny(approval_id, actor=self._actor, reason=reason))

    def _signed(self, subject: str, scopes: Sequence[str], first: float, lifetime_s: float) -> dict[str, Any]:
        """Nothing is released unless it is written who got what."""
        if lifetime_s > LONGEST_S:
            raise RefusedError(Reason.GUARD_LIFETIME, f"a credential may live for {LONGEST_S:g} s at most: renew it")
        claims = {"sub": subject, "client_id": subject, "scope": " ".join(scopes), "auth_time": int(first)}
        issued = self._issue(INTERNAL_ISSUER, claims, self._process.settings.at_url(), lifetime_s)
        facts = {"subject": subject, "scopes": list(scopes), "lifetime_s": issued["expires_in"]}
        self._write([], "credential.issued", "", facts)
        left_s = self._renewable_s(scopes, first)
        renewable_s = None if left_s == math.inf else max(0, int(left_s))
        return {**issued, "subject": subject, "scopes": list(scopes), "renewable_s": renewable_s}

    def _renewable_s(self, scopes: Sequence[str], first: float) -> float:
        if known.only_report(scopes):
            return math.inf
        return first + self._process.settings.credentials_renewable_s - self._process.clock.now()

    def _longest_s(self) -> float:
        return min(LONGEST_S, self._process.settings.timings.longest_token_s)

    def _write(self, changes: Sequence[Put | Remove], action: str, reason: str, facts: Mapping[str, Any]) -> None:
        now = self._process.clock.now()
        self._catalog.commit(changes, AuditEntry(now, self._actor, action, INTERNAL_ISSUER, None, reason, facts))

    def _view(self, approval: Approval) -> dict[str, Any]:
        facts = asdict(approval)
        asked = facts.pop("asked")
        times = {name: written(at) for name, at in facts.items() if name.endswith("_at") and at is not None}
        return {**facts, **asked, **times, "status": approval.status(self._process.clock.now())}


def _denied(document: Document) -> dict[str, Any]:
    return {"subject": document.name, **document.body, "denied_at": written(document.body["denied_at"])}
