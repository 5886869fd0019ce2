"""Audit entries and the hash chain that ties them together. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json

GENESIS = "0" * 64
MAIN_CHAIN = "main"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which key, when and why. Never a token, never a secret: digests at most.

    ``writer`` names its chain. ``writer``, ``sequence``, ``previous`` and ``digest`` are filled in by the catalog when
    it appends the entry.
    """

    at: float
    actor: str
    action: str  # key.created, key.moved, key.rotated, key.revoked, token.signed …
    issuer: str
    key_id: str | None
    reason: str
    facts: Mapping[str, Any]
    sequence: int = 0
    previous: str = ""
    digest: str = ""
    writer: str = MAIN_CHAIN


def chained(entry: AuditEntry, writer: str, sequence: int, previous: str) -> AuditEntry:
    """The entry as it is appended to a chain after the one whose digest is ``previous``."""
    placed = replace(entry, writer=writer, sequence=sequence, previous=previous)
    return replace(placed, digest=_digest(placed))


def check_chain(entries: Iterable[AuditEntry], *, previous: str = GENESIS, sequence: int = 0) -> int:
    """The last sequence of an unbroken chain. Raises RejectedError ``audit.broken`` naming the first break."""
    for entry in entries:
        sequence += 1
        if (entry.sequence, entry.previous, entry.digest) != (sequence, previous, _digest(entry)):
            raise RejectedError(Reason.AUDIT_BROKEN, f"the audit chain is broken at entry {sequence}")
        previous = entry.digest
    return sequence


def _digest(entry: AuditEntry) -> str:
    written = [entry.sequence, entry.previous, repr(entry.at), entry.actor, entry.action]
    written += [entry.issuer, entry.key_id, entry.reason, dict(sorted(entry.facts.items()))]
    if entry.writer != MAIN_CHAIN:  # entries from before chains had names are in the main one
        written.append(entry.writer)
    return hashlib.sha256(strict_json.encode_object({"entry": written})).hexdigest()
