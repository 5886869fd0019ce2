"""Signed statements about the audit itself: where all chains stand, and what was archived; a trust root signs both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Protocol

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.verification import verify_signature
from sealwright.keys.audit import AuditEntry, Head
from sealwright.keys.catalog import KeyCatalog, put_over
from sealwright.keys.managed_signer import SignedToken
from sealwright.keys.release import signature_sha256

CHECKPOINT, ARCHIVED = "audit.checkpoint", "audit.archived"
TYPES: Mapping[str, str] = {CHECKPOINT: "audit-checkpoint+jws", ARCHIVED: "audit-archive+jws"}
LATEST = "latest"


class TrustRootSigner(Protocol):
    """A ManagedSigner of purpose ``trust-root``."""

    def sign(self, payload: bytes, *, typ: str | None, actor: str) -> SignedToken: ...


@dataclass(frozen=True, slots=True)
class Segment:
    """A file with the entries ``first`` to ``last`` of one chain, of which the last has this digest."""

    writer: str
    first: int
    last: int
    digest: str
    file: str
    sha256: str


def write_checkpoint(
    catalog: KeyCatalog,
    signer: TrustRootSigner,
    *,
    issuer: str,
    actor: str,
    reason: str = "",
    clock: Clock = SYSTEM_CLOCK,
) -> Mapping[str, Any]:
    """Sign where all chains stand, and append that to the own one. Answers with the facts: at, heads and jws.

    Raises RefusedError ``catalog.conflict`` when another process has just written one: nothing is missing then.
    """
    heads = [asdict(chain.head) for chain in catalog.chains()]
    entry = AuditEntry(clock.now(), actor, CHECKPOINT, issuer, None, reason, {"heads": heads})
    return _write(entry, catalog, signer)


def latest(catalog: KeyCatalog, action: str = CHECKPOINT) -> Mapping[str, Any] | None:
    """The facts of the newest checkpoint, or of the newest note of what was archived."""
    document = catalog.document(action, LATEST)
    return document.body if document else None


def is_covered(catalog: KeyCatalog) -> bool:
    """Whether nothing was appended since the newest checkpoint but its own entries."""
    newest = latest(catalog)
    if newest is None:
        return False
    named = {head.writer: head.sequence for head in heads_named(newest)}
    writers = [chain.head.writer for chain in catalog.chains()]
    later = (entry for writer in writers for entry in catalog.audit(writer=writer, after=named.get(writer, 0)))
    return all(_of_checkpoint(entry, str(newest["jws"])) for entry in later)


def write_archived(
    catalog: KeyCatalog,
    signer: TrustRootSigner,
    segments: Sequence[Segment],
    *,
    issuer: str,
    actor: str,
    reason: str,
    clock: Clock = SYSTEM_CLOCK,
) -> Mapping[str, Any]:
    """Sign that these entries lie in files, and where each chain goes on from; deletes nothing.

    Raises RefusedError ``catalog.conflict`` when the segments are not the oldest entries of their chains.
    """
    ends = _check_segments(catalog, segments)
    anchors = {anchor.writer: anchor for anchor in (*_anchors(catalog), *ends)}
    facts = {
        "anchors": [asdict(anchors[writer]) for writer in sorted(anchors)],
        "segments": [asdict(segment) for segment in segments],
    }
    return _write(AuditEntry(clock.now(), actor, ARCHIVED, issuer, None, reason, facts), catalog, signer)


def prune_archived(catalog: KeyCatalog, *, most: int) -> int:
    """Delete at most so many entries that are noted as archived; how many, 0 when none is left."""
    starts = {chain.before.writer: chain.before.sequence for chain in catalog.chains()}
    for anchor in _anchors(catalog):
        if starts.get(anchor.writer, anchor.sequence) < anchor.sequence:
            return catalog.prune_audit(anchor, most=most)
    return 0


def read_statement(action: str, facts: Mapping[str, Any], roots: JWKSet) -> str:
    """The kid of the trust root that signed exactly these facts. Raises RejectedError."""
    payload, key_id = verify_statement(action, str(facts.get("jws")), roots)
    if payload != _payload({name: value for name, value in facts.items() if name != "jws"}):
        raise RejectedError(Reason.SIGNATURE_INVALID, "the signature is over other facts")
    return key_id


def verify_statement(action: str, jws: str, roots: JWKSet) -> tuple[bytes, str]:
    """The payload of a statement and the kid of the trust root that signed it. Raises RejectedError."""
    verified = verify_signature(jws, roots)
    verified.header.check_type(TYPES[action])
    return verified.payload, str(verified.key_id)


def heads_named(facts: Mapping[str, Any]) -> Iterator[Head]:
    """Every place that a statement vouches for."""
    for named in (*facts.get("heads", ()), *facts.get("anchors", ())):
        yield Head(**named)


def _write(entry: AuditEntry, catalog: KeyCatalog, signer: TrustRootSigner) -> Mapping[str, Any]:
    """The entry with its facts signed, and the same facts as a document that can be found again."""
    stored = catalog.document(entry.action, LATEST)
    stated = {"at": entry.at, **entry.facts}
    signed = signer.sign(_payload(stated), typ=TYPES[entry.action], actor=entry.actor)
    facts = {**stated, "jws": signed.token}
    catalog.commit([put_over(stored, entry.action, LATEST, facts)], replace(entry, key_id=signed.key_id, facts=facts))
    return facts


def _of_checkpoint(entry: AuditEntry, jws: str) -> bool:
    """The checkpoint itself, or the record of its signature."""
    recorded = [one.get("signature_sha256") for one in entry.facts.get("signatures", ())]
    return entry.facts.get("jws") == jws or recorded == [signature_sha256(jws)]


def _anchors(catalog: KeyCatalog) -> list[Head]:
    """The last archived entry of each chain, as noted."""
    noted = latest(catalog, ARCHIVED)
    return [Head(**anchor) for anchor in noted["anchors"]] if noted else []


def _check_segments(catalog: KeyCatalog, segments: Sequence[Segment]) -> list[Head]:
    """Where the archived part of each chain ends."""
    ends = {chain.before.writer: chain.before for chain in catalog.chains()}
    for noted in _anchors(catalog):
        ends[noted.writer] = max(noted, ends.get(noted.writer, noted), key=lambda head: head.sequence)
    for segment in segments:
        before = ends.get(segment.writer)
        found = list(islice(catalog.audit(writer=segment.writer, after=segment.last - 1), 2))  # one has to stay
        if before is None or before.sequence + 1 != segment.first or [e.digest for e in found][:-1] != [segment.digest]:
            raise RefusedError(Reason.CATALOG_CONFLICT, "the audit is not as it was archived: archive again")
        ends[segment.writer] = Head(segment.writer, segment.last, segment.digest)
    return [ends[writer] for writer in sorted({segment.writer for segment in segments})]


def _payload(facts: Mapping[str, Any]) -> bytes:
    return strict_json.encode_object(dict(facts))
