"""What can be asked of keys and signers, in JSON terms: the one core behind the HTTP API and the local command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.keys.record import KeyRecord
from sealwright.services.key_service.signing_operations import SigningOperations
from sealwright.settings import INTERNAL_ISSUER
from sealwright.wiring.single_process import SingleProcess

AUDIT_PAGE_ENTRIES = 500
_HIDDEN = {"handle", "public", "generation"}


class KeyOperations:
    """Every method answers JSON-ready data, and is audited under the name of the actor."""

    def __init__(self, process: SingleProcess, actor: str) -> None:
        self._process = process
        self._lifecycle = process.signing.lifecycle
        self._actor = actor
        self._signing = SigningOperations(process, actor)
        self.issue_token, self.issue_tokens = self._signing.issue_token, self._signing.issue_tokens
        self.sign_payload, self.sign_payloads = self._signing.sign_payload, self._signing.sign_payloads

    def by(self, actor: str | None) -> KeyOperations:
        """The same operations, asked by somebody else."""
        return KeyOperations(self._process, actor or "unknown")

    def keys(self, issuer: str | None = None) -> dict[str, Any]:
        records = self._lifecycle.records(issuer)
        if issuer is not None and not records:
            raise RefusedError(Reason.MOVE_UNKNOWN_ISSUER, "there is no such issuer; keys create makes one")
        return {"keys": [view(record) for record in records]}

    def create(self, issuer: str, *, algorithm: str | None, reason: str) -> dict[str, Any]:
        """Open a new issuer, or give an open one the standby it lacks. Answers with the keys that were made."""
        before = {record.handle for record in self._lifecycle.records(issuer)}
        if not before:
            if algorithm is None:
                raise RejectedError(Reason.REQUEST_MALFORMED, "a new issuer needs an algorithm")
            self._process.open_issuer(issuer, algorithm=algorithm, actor=self._actor, reason=reason)
        else:
            made = self._lifecycle.create(issuer, algorithm=algorithm, actor=self._actor, reason=reason)
            self._lifecycle.publish(str(made.key_id), actor=self._actor, reason=reason)
        return {"keys": [view(r) for r in self._lifecycle.records(issuer) if r.handle not in before]}

    def move(self, verb: str, key_id: str, *, reason: str, force: bool = False) -> dict[str, Any]:
        """activate, retire, restore, revoke or destroy one key."""
        steps: dict[str, Any] = {
            "activate": lambda: self._lifecycle.activate(key_id, actor=self._actor, reason=reason, force=force),
            "retire": lambda: self._lifecycle.retire(key_id, actor=self._actor, reason=reason, force=force),
            "restore": lambda: self._lifecycle.restore(key_id, actor=self._actor, reason=reason),
            "revoke": lambda: self._lifecycle.revoke(key_id, actor=self._actor, reason=reason),
            "destroy": lambda: self._lifecycle.destroy(key_id, actor=self._actor, reason=reason, force=force),
        }
        steps[verb]()
        return view(self._lifecycle.find(key_id))

    def rotate(self, issuer: str, *, reason: str, force: bool = False) -> dict[str, Any]:
        return _rotation(self._lifecycle.rotate(issuer, actor=self._actor, reason=reason, force=force))

    def emergency_rotate(self, issuer: str, *, key_id: str | None, reason: str) -> dict[str, Any]:
        return _rotation(self._lifecycle.emergency_rotate(issuer, key_id=key_id, actor=self._actor, reason=reason))

    def issue_operator_credential(self, subject: str, scopes: Sequence[str]) -> dict[str, Any]:
        claims = {"sub": subject, "client_id": subject, "scope": " ".join(scopes)}
        settings = self._process.settings
        lifetime_s = min(settings.operator_lifetime_s, settings.timings.longest_token_s)
        return self._signing.issue(INTERNAL_ISSUER, claims, settings.at_url(), lifetime_s)

    def active_key_id_of_operators(self) -> str | None:
        return self._lifecycle.active(INTERNAL_ISSUER).key_id

    def audit(self, *, after: int = 0) -> dict[str, Any]:
        """A page of audit entries with a larger sequence, each with the digest that chains it to the one before."""
        entries = islice(self._process.signing.catalog.audit(after=after), AUDIT_PAGE_ENTRIES)
        return {"entries": [asdict(entry) for entry in entries]}

    def verify(self, token: str, *, audience: str, scopes: Sequence[str] = (), explain: bool = False) -> dict[str, Any]:
        verifier, needed = self._process.verifier(audience), frozenset(scopes)
        steps = verifier.explain(token, scopes=needed) if explain else None
        return verifier.decide(token, scopes=needed).to_dict(steps)

    def jwks(self, issuer: str) -> dict[str, Any]:
        return self._process.publications.issuer(issuer).jwks.to_dict()


def view(record: KeyRecord) -> dict[str, Any]:
    """A key record for people and machines: times in RFC 3339, what has not happened left out."""
    shown = {name: value for name, value in asdict(record).items() if value is not None and name not in _HIDDEN}
    times = {name: _written(value) for name, value in shown.items() if name.endswith("_at")}
    return {**shown, **times, "key_id": record.key_id}


def _rotation(rotation: Any) -> dict[str, Any]:
    return {
        "active": view(rotation.active),
        "previous": view(rotation.previous),
        "standby": view(rotation.standby) if rotation.standby else None,
    }


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
