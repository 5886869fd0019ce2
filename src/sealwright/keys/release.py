"""Release: the audit entry that comes before signatures, one for all who wait at the same time (group commit)."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sealwright.clock import Clock
from sealwright.errors import Reason, SealwrightError, UnavailableError
from sealwright.jose import base64url
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.record import KeyRecord

MOST_SIGNATURES = 500  # in one entry
SEVERAL = "several"  # the actor of an entry whose signatures name more than one
Signature = Mapping[str, Any]  # digests, actor, and what the backend calls the request


@dataclass(slots=True, eq=False)
class _Waiting:
    record: KeyRecord
    signatures: Sequence[Signature]
    turn: threading.Event = field(default_factory=threading.Event)  # set when it is done, or may lead
    done: bool = False
    error: SealwrightError | None = None


class Release:
    """Whoever finds nobody at work writes for everybody who waits; the others wait for that. Alone nobody waits."""

    def __init__(self, catalog: KeyCatalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._led = False  # while False nobody waits

    def commit(self, record: KeyRecord, signatures: Sequence[Signature]) -> None:
        """Returns when the entry with these signatures is written: only then may they be released.

        Raises RefusedError ``catalog.conflict`` when the key is not active any more at this generation, and
        UnavailableError when nothing was written.
        """
        mine = _Waiting(record, signatures)
        with self._lock:
            self._waiting.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            mine.turn.wait()
        if not mine.done:
            self._lead()
        if mine.error is not None:  # an instance of its own: several threads raise it
            raise type(mine.error)(mine.error.reason, mine.error.message, detail=mine.error.detail) from mine.error

    def _lead(self) -> None:
        with self._lock:
            batch = self._taken()
        failure: SealwrightError | None = UnavailableError(Reason.CATALOG_UNAVAILABLE, "the audit was not written")
        try:
            self._write(batch)
            failure = None
        except SealwrightError as error:
            failure = error
        finally:
            self._finish(batch, failure)

    def _taken(self) -> list[_Waiting]:
        """The first who waits, and those behind with the same key, as far as they fit into one entry."""
        first = self._waiting.popleft()
        batch, left = [first], MOST_SIGNATURES - len(first.signatures)
        while self._waiting and _same_key(first, self._waiting[0]) and len(self._waiting[0].signatures) <= left:
            batch.append(self._waiting.popleft())
            left -= len(batch[-1].signatures)
        return batch

    def _write(self, batch: Sequence[_Waiting]) -> None:
        record = batch[0].record
        signatures = [signature for waiting in batch for signature in waiting.signatures]
        actors = {signature["actor"] for signature in signatures}
        actor = actors.pop() if len(actors) == 1 else SEVERAL
        facts = {"signatures": signatures}
        entry = AuditEntry(self._clock.now(), actor, "token.signed", record.issuer, record.key_id, "", facts)
        self._catalog.record_signatures(record, entry)

    def _finish(self, batch: Sequence[_Waiting], failure: SealwrightError | None) -> None:
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._led = following is not None
        for waiting in batch:
            waiting.done, waiting.error = True, failure
            waiting.turn.set()
        if following is not None:
            following.turn.set()


def signature_facts(signing_input: bytes, signature: bytes, actor: str, request_id: str | None = None) -> Signature:
    """What the audit has of one signature."""
    facts = {"signing_input_sha256": _sha256(signing_input), "signature_sha256": _sha256(signature), "actor": actor}
    return facts if request_id is None else {**facts, "backend_request_id": request_id}


def signature_sha256(token: str) -> str:
    """The digest by which the audit knows the signature of a compact JWS."""
    return _sha256(base64url.decode_text(token.rpartition(".")[2]))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _same_key(one: _Waiting, other: _Waiting) -> bool:
    return (one.record.handle, one.record.generation) == (other.record.handle, other.record.generation)
