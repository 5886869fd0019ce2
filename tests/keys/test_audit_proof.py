"""What a proof of the audit notices: every change that somebody with the database alone can make below a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from postgresql import shared_cluster
from replicas import WHO, Replica

import sealwright as sw
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.audit import AuditEntry, Head, chained, head_of, start_of
from sealwright.keys.audit_proof import AuditProof, Proven
from sealwright.keys.audit_statements import ARCHIVED, CHECKPOINT, TYPES, _payload, latest, write_checkpoint
from sealwright.keys.managed_signer import ManagedSigner

Entries = list[AuditEntry]


class Written:
    """A trail of two writers with checkpoints of both, and the keys that prove it."""

    def __init__(self, folder: Path) -> None:
        url = shared_cluster().new_database()
        self.one, self.two = (Replica(url, str(folder), name) for name in ("one", "two"))
        for name, purpose in (("default", "token"), ("internal", "trust-root")):
            self.one.keys.open_issuer(name, purpose=purpose, **WHO)  # type: ignore[arg-type]
        for replica in (self.one, self.two, self.one):
            for _ in range(3):
                replica.sign()
            self.checkpoint(replica)
        self.two.sign()
        self.entries = [*self.one.catalog.audit()]
        self.last_checkpoint = str(latest(self.one.catalog)["jws"])  # type: ignore[index]

    def checkpoint(self, replica: Replica) -> None:
        signer = ManagedSigner(replica.catalog, {"local": replica.backend}, "internal", purpose="trust-root")
        write_checkpoint(replica.catalog, signer, issuer="internal", actor="tester")

    @property
    def roots(self) -> JWKSet:
        return JWKSet([r.public_key() for r in self.one.catalog.records("internal") if r.public])

    def close(self) -> None:
        self.one.catalog.close()
        self.two.catalog.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Written(tmp_path_factory.mktemp("keys"))
    yield made
    made.close()


def prove(entries: Entries, roots: JWKSet, revoked: frozenset[str] = frozenset(), kept: str | None = None) -> Proven:
    proof = AuditProof(roots, revoked)
    if kept:
        proof.learn_checkpoint(kept)
    for entry in entries:
        proof.learn(entry)
    for entry in entries:
        proof.check(entry)
    return proof.finish()


def of(entries: Entries, writer: str) -> Entries:
    return [entry for entry in entries if entry.writer == writer]


def rechained(entries: Entries) -> Entries:
    """What a forger makes of a chain that was changed: every digest anew."""
    head, made = start_of(entries[0].writer), []
    for entry in entries:
        placed = chained(entry, head.writer, head.sequence + 1, head.digest)
        made.append(placed)
        head = head_of(placed)
    return made


def appended(entries: Entries, action: str, facts: Any) -> Entries:
    end = of(entries, "two")[-1]
    entry = replace(end, action=action, facts=facts)
    return [*entries, chained(entry, "two", end.sequence + 1, end.digest)]


def changed(chain: Entries, index: int, **facts: Any) -> Entries:
    return [*chain[:index], replace(chain[index], **facts), *chain[index + 1 :]]


def swapped(chain: Entries, index: int) -> Entries:
    return [*chain[:index], chain[index + 1], chain[index], *chain[index + 2 :]]


def test_a_trail_that_nobody_touched_is_proven(written: Written) -> None:
    proven = prove(written.entries, written.roots, kept=written.last_checkpoint)
    assert (proven.entries, proven.checkpoints, proven.void) == (len(written.entries), 3, 0)
    assert proven.heads == (head_of(of(written.entries, "one")[-1]), head_of(written.entries[-1]))
    assert proven.archived == {}


# Each takes the chains of both writers, and says where the break must be named.
TAMPERING: dict[str, tuple[Callable[[Entries, Entries], Entries], str]] = {
    "an entry was edited": (
        lambda one, two: [*changed(one, 4, actor="nobody"), *two],
        "entry 5 of writer one was changed",
    ),
    "facts were edited": (lambda one, two: [*changed(one, 6, facts={}), *two], "entry 7 of writer one was changed"),
    "two were swapped": (lambda one, two: [*swapped(one, 4), *two], "entry 5 of writer one is missing"),
    "one was taken out": (lambda one, two: [*one[:4], *one[5:], *two], "entry 5 of writer one is missing"),
    "the beginning was taken off": (lambda one, two: [*one[3:], *two], "entry 1 of writer one is missing"),
    "an edited chain was hashed anew": (
        lambda one, two: [*rechained(changed(one, 4, actor="nobody")), *two],
        "of writer one is not the one that a signed statement names",
    ),
    "swapped ones were hashed anew": (
        lambda one, two: [*rechained(swapped(one, 4)), *two],
        "of writer one is not the one that a signed statement names",
    ),
    "the end was cut off": (lambda one, two: [*one, *two[:3]], "entry 4 of writer two is missing: a signed"),
    "a whole chain was dropped": (lambda one, _: one, "entry 1 of writer two is missing: a signed statement names"),
    "the other chain was dropped": (lambda _, two: two, "entry 1 of writer one is missing: a signed statement names"),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_noticed_and_the_first_break_is_named(written: Written, name: str) -> None:
    tamper, expected = TAMPERING[name]
    with pytest.raises(sw.RejectedError, match=expected) as caught:
        prove(tamper(of(written.entries, "one"), of(written.entries, "two")), written.roots)
    assert caught.value.reason == "audit.broken"


def test_a_checkpoint_kept_elsewhere_notices_what_was_cut_off_together_with_its_checkpoints(written: Written) -> None:
    cut = [*of(written.entries, "one")[:6], *of(written.entries, "two")[:1]]
    prove(cut, written.roots)
    with pytest.raises(sw.RejectedError, match="is missing: a signed statement names"):
        prove(cut, written.roots, kept=written.last_checkpoint)


def signed_by(key: PrivateJWK, action: str, facts: dict[str, Any], typ: str | None = None) -> dict[str, Any]:
    return {**facts, "jws": sw.sign(_payload(facts), key, typ=typ or TYPES[action])}


def test_forged_statements_are_noticed(written: Written) -> None:
    own = PrivateJWK.generate("Ed25519")
    heads = {"at": 1.0, "heads": [asdict(Head("two", 2, "f" * 64))]}
    (genuine, *_) = (entry for entry in written.entries if entry.action == CHECKPOINT)
    forged = [
        signed_by(own, CHECKPOINT, heads),
        {**heads, "jws": genuine.facts["jws"]},
        {**genuine.facts, "more": 1},
        {"heads": []},
    ]
    for facts in forged:
        with pytest.raises(sw.RejectedError, match="of writer two is no checkpoint that a trust root signed"):
            prove(appended(written.entries, CHECKPOINT, facts), written.roots)
    with pytest.raises(sw.RejectedError, match="is no archive note"):
        prove(appended(written.entries, ARCHIVED, dict(genuine.facts)), written.roots)
    with pytest.raises(sw.RejectedError):
        prove(written.entries, written.roots, kept=forged[0]["jws"])


def test_a_forged_archive_note_hides_nothing(written: Written) -> None:
    one, two = of(written.entries, "one"), of(written.entries, "two")
    anchors = {"at": 1.0, "anchors": [asdict(head_of(one[3]))], "segments": []}
    note = signed_by(PrivateJWK.generate("Ed25519"), ARCHIVED, anchors)
    with pytest.raises(sw.RejectedError, match="entry 1 of writer one is missing"):
        prove([*one[4:], *appended(two, ARCHIVED, note)], written.roots)


def test_trust_roots_kept_elsewhere_are_the_only_ones_that_count(written: Written) -> None:
    with pytest.raises(sw.RejectedError, match="no checkpoint that a trust root signed"):
        prove(written.entries, JWKSet([PrivateJWK.generate("Ed25519").public]))


def test_what_a_revoked_trust_root_signed_proves_nothing_and_breaks_nothing(written: Written) -> None:
    revoked = frozenset(str(key.key_id) for key in written.roots)
    proven = prove(written.entries, written.roots, revoked)
    assert (proven.checkpoints, proven.void) == (0, 3)
    prove(of(written.entries, "one"), written.roots, revoked)  # nothing vouches for the other chain any more


def test_checkpoints_by_a_rotated_trust_root_still_hold(written: Written, tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.one.keys.rotate("internal", purpose="trust-root", force=True, **WHO)
    made.checkpoint(made.two)
    assert prove([*made.one.catalog.audit()], made.roots).checkpoints == 4
    made.close()
