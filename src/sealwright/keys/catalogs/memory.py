"""Key records, documents and audit in memory: for tests, rehearsals and throw-away processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from sealwright.errors import Reason, RefusedError
from sealwright.keys.audit import MAIN_CHAIN, AuditEntry, Chain, Head, chained, head_of, start_of
from sealwright.keys.catalog import Change, Document, Insert, Mark, Put, Remove, Replace
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState
from sealwright.keys.token_status import TokenStatus
from sealwright.keys.turns import LocalTurns


class MemoryCatalog:
    """A KeyCatalog that forgets everything with its process."""

    writer = MAIN_CHAIN

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns = LocalTurns()
        self._records: dict[str, KeyRecord] = {}
        self._documents: dict[tuple[str, str], Document] = {}
        self._tokens: dict[tuple[str, str], TokenStatus] = {}
        self._marked_at: dict[tuple[str, str], int] = {}
        self._audit: list[AuditEntry] = []
        self._before = start_of(self.writer)
        self._version = 0

    def records(self, issuer: str | None = None) -> list[KeyRecord]:
        with self._lock:
            return [record for record in self._records.values() if issuer in (None, record.issuer)]

    def documents(self, kind: str) -> dict[str, Document]:
        with self._lock:
            return {name: document for (of, name), document in self._documents.items() if of == kind}

    def document(self, kind: str, name: str) -> Document | None:
        with self._lock:
            return self._documents.get((kind, name))

    def marked_tokens(self, after: int | None = None) -> list[TokenStatus]:
        with self._lock:
            tokens, since = self._tokens, self._marked_at
            if after is None:
                return [token for token in tokens.values() if token.status]
            return [tokens[key] for key, version in since.items() if version > after and key in tokens]

    def token(self, issuer: str, digest: str) -> TokenStatus | None:
        with self._lock:
            return self._tokens.get((issuer, digest))

    def reserve(self, tokens: Sequence[TokenStatus]) -> list[TokenStatus]:
        with self._lock:
            if any((token.issuer, token.digest) in self._tokens for token in tokens):
                raise _conflict()
            taken = {(token.issuer, token.list_id, token.place) for token in self._tokens.values()}
            free = [token for token in tokens if (token.issuer, token.list_id, token.place) not in taken]
            self._tokens |= {(token.issuer, token.digest): token for token in free}
            return free

    def forget_tokens(self, now: float) -> int:
        with self._lock:
            kept = {key: token for key, token in self._tokens.items() if now < token.forgotten_at}
            count, self._tokens = len(self._tokens) - len(kept), kept
            self._marked_at = {key: version for key, version in self._marked_at.items() if key in kept}
            return count

    def commit(self, changes: Sequence[Change], entry: AuditEntry) -> None:
        with self._lock:
            records, documents, tokens = dict(self._records), dict(self._documents), dict(self._tokens)
            for change in changes:
                if isinstance(change, Insert | Replace):
                    _apply(records, change)
                elif isinstance(change, Mark):
                    _mark(tokens, change)
                else:
                    _write(documents, change)
            _check_invariants(records)
            self._records, self._documents, self._tokens = records, documents, tokens
            self._append(entry)
            self._version += 1
            marks = [change.token for change in changes if isinstance(change, Mark)]
            self._marked_at |= {(token.issuer, token.digest): self._version for token in marks}

    def record_signatures(self, record: KeyRecord, entry: AuditEntry) -> None:
        with self._lock:
            stored = self._records.get(record.handle)
            if stored is None or stored.state is not KeyState.ACTIVE or stored.generation != record.generation:
                raise _conflict()
            self._records[record.handle] = replace(stored, last_signed_at=entry.at)
            self._append(entry)

    def version(self) -> int:
        return self._version

    def confirmed_age_s(self) -> float:
        return 0.0

    def turn(self, name: str, *, wait_s: float = 30.0) -> AbstractContextManager[None]:
        return self._turns.take(name, wait_s)

    def writers(self) -> list[str]:
        return [chain.head.writer for chain in self.chains()]

    def chains(self) -> list[Chain]:
        with self._lock:
            return [Chain(self._before, head_of(self._audit[-1]))] if self._audit else []

    def audit(self, *, writer: str | None = None, after: int = 0, action: str | None = None) -> Iterator[AuditEntry]:
        with self._lock:
            mine = self._audit if writer in (None, self.writer) else []
            return iter([e for e in mine if e.sequence > after and action in (None, e.action)])

    def prune_audit(self, upto: Head, *, most: int) -> int:
        with self._lock:
            if upto not in map(head_of, self._audit[:-1]):
                raise _conflict()
            count = min(most, upto.sequence - self._before.sequence)
            self._before = head_of(self._audit[count - 1])
            del self._audit[:count]
            return count

    def check_writable(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _append(self, entry: AuditEntry) -> None:
        head = head_of(self._audit[-1]) if self._audit else self._before
        self._audit.append(chained(entry, self.writer, head.sequence + 1, head.digest))


def _apply(records: dict[str, KeyRecord], change: Insert | Replace) -> None:
    record, stored = change.record, records.get(change.record.handle)
    if isinstance(change, Insert):
        if stored is not None:
            raise _conflict()
        records[record.handle] = record
    else:
        if stored is None or stored.generation != record.generation - 1:
            raise _conflict()
        records[record.handle] = replace(record, last_signed_at=stored.last_signed_at)


def _write(documents: dict[tuple[str, str], Document], change: Put | Remove) -> None:
    document = change.document
    key = (document.kind, document.name)
    stored = documents[key].generation if key in documents else 0
    if stored != document.generation - isinstance(change, Put):
        raise _conflict()
    if isinstance(change, Put):
        documents[key] = document
    else:
        del documents[key]


def _mark(tokens: dict[tuple[str, str], TokenStatus], change: Mark) -> None:
    token = change.token
    stored = tokens.get((token.issuer, token.digest))
    if (None if stored is None else stored.status) != change.before:
        raise _conflict()
    tokens[token.issuer, token.digest] = token


def _check_invariants(records: dict[str, KeyRecord]) -> None:
    counted = [record for record in records.values() if record.parent is None]
    alone = [(*r.lineage, r.state) for r in counted if r.state in (KeyState.ACTIVE, KeyState.STANDBY)]
    kids = [record.key_id for record in records.values() if record.key_id is not None]
    if len(set(alone)) != len(alone) or len(set(kids)) != len(kids):
        raise _conflict()


def _conflict() -> RefusedError:
    return RefusedError(Reason.CATALOG_CONFLICT, "somebody else changed this key first: look again, then repeat")
