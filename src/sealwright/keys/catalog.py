"""KeyCatalog protocol: records, compare-and-set, and the audit entry in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sealwright.keys.audit import AuditEntry, Chain, Head
from sealwright.keys.record import KeyRecord
from sealwright.keys.token_status import TokenStatus


@dataclass(frozen=True, slots=True)
class Insert:
    """A new record. Refused with ``catalog.conflict`` when the handle or the kid was ever used before."""

    record: KeyRecord


@dataclass(frozen=True, slots=True)
class Replace:
    """A record one generation later; refused with ``catalog.conflict`` unless the stored one is one earlier.

    ``last_signed_at`` is never replaced: only ``record_signatures`` writes it.
    """

    record: KeyRecord


@dataclass(frozen=True, slots=True)
class Document:
    """What is not a key and changes with keys: an approval, a roll-out, a policy. ``body`` is JSON, never a secret in
    the clear.
    """

    kind: str
    name: str
    body: Mapping[str, Any]
    generation: int = 1


@dataclass(frozen=True, slots=True)
class Put:
    """A document one generation later than the stored one, or the first one; ``catalog.conflict`` otherwise."""

    document: Document


@dataclass(frozen=True, slots=True)
class Remove:
    """Take away a document of just this generation; ``catalog.conflict`` otherwise."""

    document: Document


@dataclass(frozen=True, slots=True)
class Mark:
    """The status of a token, which had the status ``before``, or None when nothing was known of it;
    ``catalog.conflict`` otherwise.
    """

    token: TokenStatus
    before: int | None


Change = Insert | Replace | Put | Remove | Mark
LEASE_S = 10.0  # how long a signer may go on without hearing from the store


class KeyCatalog(Protocol):
    """Where key records, documents and the audit trail live; several processes may share one.

    Raises RefusedError ``catalog.conflict`` when somebody else was faster, or a second active or standby key would
    appear, and UnavailableError ``catalog.unavailable`` when the store cannot be reached or written.
    """

    @property
    def writer(self) -> str:
        """The name of the audit chain that this process alone appends to."""
        ...

    def records(self, issuer: str | None = None) -> list[KeyRecord]:
        """All records, oldest first."""
        ...

    def documents(self, kind: str) -> dict[str, Document]:
        """All documents of one kind, by name."""
        ...

    def document(self, kind: str, name: str) -> Document | None:
        """The one of this kind and name."""
        ...

    def marked_tokens(self, after: int | None = None) -> list[TokenStatus]:
        """Every token that is revoked or suspended; or those whose status changed after a version, to whatever."""
        ...

    def token(self, issuer: str, digest: str) -> TokenStatus | None:
        """What is remembered about one token."""
        ...

    def reserve(self, tokens: Sequence[TokenStatus]) -> list[TokenStatus]:
        """Remember those of the tokens whose place is free; which they are. All are of one issuer and one list.

        Changes nothing that is published: no version, no audit entry. Refused with ``catalog.conflict`` when one of
        them is known already, or when another process was faster.
        """
        ...

    def forget_tokens(self, now: float) -> int:
        """Delete what is remembered about tokens that are to be forgotten by now; how many that were."""
        ...

    def commit(self, changes: Sequence[Change], entry: AuditEntry) -> None:
        """All of the changes and the entry, or nothing.

        Keeps at most one active and one standby key per (issuer, purpose, algorithm); delegated keys, which have a
        ``parent``, do not count.
        """
        ...

    def record_signatures(self, record: KeyRecord, entry: AuditEntry) -> None:
        """The one audit entry of a batch of signatures by one key, and ``last_signed_at`` of that key.

        This is the fence: refused with ``catalog.conflict`` unless the key is still active at that generation. It
        does not change the generation of the record, nor the version.
        """
        ...

    def version(self) -> int:
        """A number that grows with every commit of anybody: an unchanged version means unchanged records.

        What another process committed is seen within a second. UnavailableError when that cannot be known. Never does
        I/O of its own, so that an event loop may ask.
        """
        ...

    def confirmed_age_s(self) -> float:
        """Seconds since the store itself last said which version is current; 0 where this process is the store's only
        writer. Whoever releases what was signed earlier, without a commit of its own, asks ``version`` first and
        stops when this exceeds LEASE_S.
        """
        ...

    def turn(self, name: str, *, wait_s: float = 30.0) -> AbstractContextManager[None]:
        """One holder at a time among all processes; the same thread may take it again. For work outside of a
        transaction, such as making a key. UnavailableError ``catalog.busy`` when it was not to be had in time;
        zero seconds ask once. A process that dies lets go.
        """
        ...

    def writers(self) -> list[str]:
        """The names of all audit chains, sorted."""
        ...

    def chains(self) -> list[Chain]:
        """Where each audit chain begins and ends now, sorted by writer."""
        ...

    def audit(self, *, writer: str | None = None, after: int = 0, action: str | None = None) -> Iterator[AuditEntry]:
        """Entries with a larger sequence, in order: of one chain, or of every chain one after the other. With
        ``action``, those that did just that.
        """
        ...

    def prune_audit(self, upto: Head, *, most: int) -> int:
        """Delete the oldest entries of a chain, at most so many and none after ``upto``; how many were deleted.

        Only for entries that are kept elsewhere. Refused with ``catalog.conflict`` unless ``upto`` is an entry with
        that digest, and not the last one of its chain.
        """
        ...

    def check_writable(self) -> None:
        """Raises UnavailableError ``catalog.unavailable`` when the next commit would."""
        ...

    def close(self) -> None: ...


def put_over(stored: Document | None, kind: str, name: str, body: Mapping[str, Any]) -> Put:
    """The change that stores a body over what is stored now, which may be nothing."""
    return Put(Document(kind, name, body, stored.generation + 1 if stored else 1))
