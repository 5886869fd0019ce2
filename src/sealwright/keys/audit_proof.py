"""AuditProof: that nothing was taken out of a trail or changed, as far as its chains and signed checkpoints reach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealwright.errors import RejectedError
from sealwright.jose import strict_json
from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.audit import AuditEntry, Head, broken, follow, start_of
from sealwright.keys.audit_statements import ARCHIVED, CHECKPOINT, TYPES, heads_named, read_statement, verify_statement


@dataclass(frozen=True, slots=True)
class Proven:
    """What was proven. ``void`` statements were signed by a trust root that was revoked since: they prove nothing."""

    entries: int
    heads: tuple[Head, ...]
    archived: Mapping[str, int]  # how many entries of each chain lie elsewhere and were not looked at
    checkpoints: int
    void: int


class AuditProof:
    """Two passes: ``learn`` sees every statement of the trail, then ``check`` every entry, each chain in its order.

    What it remembers grows with the checkpoints, not with the entries. Raises RejectedError ``audit.broken`` that
    names the first break: the writer, the sequence and what is wrong.
    """

    def __init__(self, roots: JWKSet, revoked: frozenset[str] = frozenset()) -> None:
        self.files: dict[str, str] = {}  # archived segments and their SHA-256
        self._roots = roots
        self._revoked = revoked
        self._named: dict[str, dict[int, str]] = defaultdict(dict)
        self._anchors: dict[str, Head] = {}
        self._starts: dict[str, int] = {}
        self._heads: dict[str, Head] = {}
        self._entries = self._checkpoints = self._void = 0

    def learn(self, entry: AuditEntry) -> None:
        """A statement that does not hold is not believed here; ``check`` names it."""
        if entry.action not in TYPES:
            return
        try:
            key_id = read_statement(entry.action, entry.facts, self._roots)
        except RejectedError:
            return
        if key_id not in self._revoked:
            self._believe(entry.facts)

    def learn_checkpoint(self, jws: str) -> None:
        """One that was kept outside of the trail. Raises RejectedError when no trust root signed it."""
        payload, _ = verify_statement(CHECKPOINT, jws, self._roots)
        self._believe(strict_json.parse_object(payload))

    def check(self, entry: AuditEntry) -> None:
        before = self._heads.get(entry.writer) or self._start(entry)
        head = self._heads[entry.writer] = follow(before, entry)
        self._entries += 1
        if self._named[head.writer].pop(head.sequence, head.digest) != head.digest:
            raise broken(head.writer, head.sequence, "is not the one that a signed statement names")
        if entry.action in TYPES:
            self._check_statement(entry)

    def finish(self) -> Proven:
        """Every place that was named must have been there."""
        for writer, left in sorted(self._named.items()):
            missing = [sequence for sequence in left if sequence > self._starts.get(writer, 0)]
            if missing:
                end = self._heads[writer].sequence if writer in self._heads else 0
                raise broken(writer, end + 1, f"is missing: a signed statement names entry {max(missing)}")
        heads = tuple(self._heads[writer] for writer in sorted(self._heads))
        return Proven(self._entries, heads, dict(self._starts), self._checkpoints, self._void)

    def _start(self, entry: AuditEntry) -> Head:
        """The first entry, or one where a signed note says that everything before it was archived."""
        anchor = self._anchors.get(entry.writer)
        if entry.sequence == 1 or anchor is None or anchor.sequence < entry.sequence - 1:
            return start_of(entry.writer)
        self._starts[entry.writer] = entry.sequence - 1
        if anchor.sequence == entry.sequence - 1:
            return anchor
        return Head(entry.writer, entry.sequence - 1, entry.previous)  # proven once the anchor itself is reached

    def _believe(self, facts: Mapping[str, Any]) -> None:
        for head in heads_named(facts):
            if self._named[head.writer].setdefault(head.sequence, head.digest) != head.digest:
                raise broken(head.writer, head.sequence, "is two different ones in signed statements")
        for anchor in facts.get("anchors", ()):
            known = self._anchors.get(anchor["writer"])
            if known is None or known.sequence < anchor["sequence"]:
                self._anchors[anchor["writer"]] = Head(**anchor)
        self.files |= {segment["file"]: segment["sha256"] for segment in facts.get("segments", ())}

    def _check_statement(self, entry: AuditEntry) -> None:
        try:
            key_id = read_statement(entry.action, entry.facts, self._roots)
        except RejectedError as error:
            what = {CHECKPOINT: "checkpoint", ARCHIVED: "archive note"}[entry.action]
            raise broken(entry.writer, entry.sequence, f"is no {what} that a trust root signed: {error}") from error
        if key_id in self._revoked:
            self._void += 1
        elif entry.action == CHECKPOINT:
            self._checkpoints += 1
