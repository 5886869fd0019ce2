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


@dataclass(frozen=True, slots=True)
class Head:
    """One place in a chain: the entry with this sequence has this digest. Sequence 0 is before the first one."""

    writer: str
    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What is kept of one writer's entries: those after ``before``, up to ``head``. Older ones were archived."""

    before: Head
    head: Head


def start_of(writer: str) -> Head:
    return Head(writer, 0, GENESIS)


def head_of(entry: AuditEntry) -> Head:
    return Head(entry.writer, entry.sequence, entry.digest)


def chained(entry: AuditEntry, writer: str, sequence: int, previous: str) -> AuditEntry:
    """The entry as it is appended to a chain after the one whose digest is ``previous``."""
    placed = replace(entry, writer=writer, sequence=sequence, previous=previous)
    return replace(placed, digest=_digest(placed))


def follow(before: Head, entry: AuditEntry) -> Head:
    """The new head of a chain. Raises RejectedError ``audit.broken`` for an entry that is not the next one."""
    expected = before.sequence + 1
    if entry.sequence != expected:
        raise broken(before.writer, expected, "is missing")
    if entry.digest != _digest(entry):
        raise broken(before.writer, expected, "was changed")
    if entry.previous != before.digest:
        raise broken(before.writer, expected, "does not follow the entry before it")
    return head_of(entry)


def check_chain(entries: Iterable[AuditEntry], *, before: Head | None = None) -> int:
    """The last sequence of one unbroken chain. Raises RejectedError ``audit.broken`` naming the first break."""
    for entry in entries:
        before = follow(before or start_of(entry.writer), entry)
    return before.sequence if before else 0


def broken(writer: str, sequence: int, what: str) -> RejectedError:
    message = f"the audit is broken: entry {sequence} of writer {writer} {what}"
    return RejectedError(Reason.AUDIT_BROKEN, message)


def _digest(entry: AuditEntry) -> str:
    written = [entry.sequence, entry.previous, repr(entry.at), entry.actor, entry.action]
    written += [entry.issuer, entry.key_id, entry.reason, dict(sorted(entry.facts.items()))]
    if entry.writer != MAIN_CHAIN:  # entries from before chains had names are in the main one
        written.append(entry.writer)
    return hashlib.sha256(strict_json.encode_object({"entry": written})).hexdigest()
