"""What can be asked of the audit, in JSON terms: pages, chains, checkpoints, archiving."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from sealwright.keys import audit_statements
from sealwright.keys.audit_statements import Segment
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState
from sealwright.settings import INTERNAL_ISSUER
from sealwright.wiring.single_process import SingleProcess

PAGE_ENTRIES = 500
PRUNED_AT_ONCE = 5_000


class AuditOperations:
    """Every method answers JSON-ready data."""

    def __init__(self, process: SingleProcess, actor: str) -> None:
        self._process = process
        self._catalog = process.signing.catalog
        self._actor = actor

    def page(
        self,
        *,
        writer: str | None = None,
        after: int = 0,
        action: str | None = None,
        only: Collection[str] | None = None,
    ) -> dict[str, Any]:
        """Entries of one chain with a larger sequence; without ``writer``, of the chain of this very process.

        ``only`` leaves out those about other issuers; then the chain cannot be checked.
        """
        writer = writer or self._catalog.writer
        found = self._catalog.audit(writer=writer, after=after, action=action)
        entries = islice((entry for entry in found if only is None or entry.issuer in only), PAGE_ENTRIES)
        return {"writer": writer, "entries": [asdict(entry) for entry in entries]}

    def chains(self) -> dict[str, Any]:
        """The first and last sequence of each chain, and its last digest."""
        return {
            "chains": [
                {
                    "writer": chain.head.writer,
                    "first": chain.before.sequence + 1,
                    "last": chain.head.sequence,
                    "digest": chain.head.digest,
                }
                for chain in self._catalog.chains()
            ]
        }

    def trust_roots(self) -> dict[str, Any]:
        """The public keys that checkpoints are verified with, old ones too, and the kids of those that are revoked."""
        roots = [record for record in self._catalog.records(INTERNAL_ISSUER) if _is_root(record)]
        revoked = [record.key_id for record in roots if record.state is KeyState.REVOKED]
        return {"keys": [record.public_key().to_dict() for record in roots], "revoked": revoked}

    def checkpoint(self, *, reason: str) -> dict[str, Any]:
        """Write a checkpoint now."""
        return dict(audit_statements.write_checkpoint(self._catalog, **self._as_root(reason)))

    def archive(self, segments: Sequence[Mapping[str, Any]], *, reason: str) -> dict[str, Any]:
        """Note that these entries lie in files; ``prune`` deletes them then."""
        noted = [Segment(**segment) for segment in segments]
        return dict(audit_statements.write_archived(self._catalog, segments=noted, **self._as_root(reason)))

    def prune(self) -> dict[str, Any]:
        """Delete some of the entries that are noted as archived; ask again until none were left."""
        return {"deleted": audit_statements.prune_archived(self._catalog, most=PRUNED_AT_ONCE)}

    def _as_root(self, reason: str) -> dict[str, Any]:
        signer = self._process.signing.signer(INTERNAL_ISSUER, "trust-root")
        who = {"issuer": INTERNAL_ISSUER, "actor": self._actor, "reason": reason}
        return {"signer": signer, "clock": self._process.clock, **who}


def _is_root(record: KeyRecord) -> bool:
    return record.purpose == "trust-root" and record.public is not None and record.state is not KeyState.PENDING
