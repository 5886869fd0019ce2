"""ManagedSigner: signs with the active key of an issuer, and checks its own output before release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, SealwrightError
from sealwright.events import Observer, TokenSigned, tell
from sealwright.jose import base64url, header
from sealwright.keys.backend import BackendSignature, KeyBackend, backend_named, sign_checked
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.delegates import SigningKey, find_delegate
from sealwright.keys.record import KeyRecord, Purpose
from sealwright.keys.release import Release, signature_facts
from sealwright.keys.shares import Draw, SigningKeys, drawn, signing_keys
from sealwright.keys.signing_queue import Deadline, SigningQueue

ATTEMPTS = 10  # each rotation between taking the key and releasing the signature costs one

_LOOK_AGAIN = frozenset({Reason.CATALOG_CONFLICT, Reason.BACKEND_KEY_MISSING, Reason.BACKEND_KEY_DISABLED})


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A released token and the key that signed it."""

    token: str
    key_id: str
    algorithm: str

    def __repr__(self) -> str:
        return f"SignedToken(kid={self.key_id!r}, alg={self.algorithm!r}, <redacted>)"


class ManagedSigner:
    """Signs for one issuer. Every released signature was verified and has its audit entry.

    ``queues`` bound the calls of each backend by its name; a backend without one is called as it comes.
    """

    def __init__(
        self,
        catalog: KeyCatalog,
        backends: Mapping[str, KeyBackend],
        issuer: str,
        *,
        purpose: Purpose = "token",
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
        queues: Mapping[str, SigningQueue] | None = None,
        draw: Draw = drawn,
    ) -> None:
        self._catalog = catalog
        self._backends = backends
        self._issuer = issuer
        self._purpose: Purpose = purpose
        self._clock = clock
        self._observer = observer
        self._queues = queues or {}
        self._draw = draw
        self._release = Release(catalog, clock)
        self._known: tuple[int, SigningKeys, Mapping[str, SigningKey]] | None = None
        self._last: SigningKey | None = None

    @property
    def known_backend(self) -> str | None:
        """Where the key is that signed last; asks nobody."""
        return None if self._last is None else self._last.record.backend

    def sign(
        self, payload: bytes, *, typ: str | None, actor: str, deadline: Deadline | None = None, delegate: bool = True
    ) -> SignedToken:
        """A compact JWS by the key that is active now, or with ``delegate`` by one that it vouches for.

        Raises RefusedError ``guard.no_active_key`` or ``move.unknown_issuer``, BackendError, or UnavailableError
        when the audit entry cannot be written or the deadline has passed: then nothing is released.
        """
        return self.sign_batch([(payload, typ)], actor=actor, deadline=deadline, delegate=delegate)[0]

    def sign_batch(
        self,
        batch: Sequence[tuple[bytes, str | None]],
        *,
        actor: str,
        deadline: Deadline | None = None,
        delegate: bool = True,
        facts: Mapping[str, Any] | None = None,
    ) -> list[SignedToken]:
        """Payloads, each with its typ, signed in order: all or none, by one key, in one audit entry. Raises as sign.

        ``facts`` are what that entry has of each signature besides its digests and the actor.
        """
        began = self._clock.monotonic()
        for attempts_left in reversed(range(ATTEMPTS)):
            key = self.key(delegate=delegate)
            try:
                signed = self._signed(key, batch, {**(facts or {}), "actor": actor}, deadline)
            except SealwrightError as error:
                if attempts_left and self._superseded(key, error, delegate):
                    continue
                self._report(key.record, len(batch), began, error.reason)
                raise
            self._report(key.record, len(batch), began, None)
            return signed
        raise AssertionError("unreachable")

    def key(self, *, delegate: bool = True) -> SigningKey:
        """The key that signs now. Raises as sign."""
        keys, delegates = self._current()
        active = keys.pick(self._draw)
        delegated = delegates.get(active.record.handle) if delegate else None
        in_time = delegated is not None and delegated.in_time(self._clock.now())
        self._last = delegated if delegated is not None and in_time else active
        return self._last

    def _superseded(self, key: SigningKey, error: SealwrightError, delegate: bool) -> bool:
        """Whether the key was rotated away, or even destroyed, since it was taken: then the next one signs."""
        if error.reason not in _LOOK_AGAIN:
            return False
        self._known = None
        now = self.key(delegate=delegate).record
        gone = (now.handle, now.generation) != (key.record.handle, key.record.generation)
        return gone or error.reason is Reason.CATALOG_CONFLICT

    def _signed(
        self,
        key: SigningKey,
        batch: Sequence[tuple[bytes, str | None]],
        asked: Mapping[str, Any],
        deadline: Deadline | None,
    ) -> list[SignedToken]:
        name = key.record.algorithm
        inputs = [header.encode(name, key.key_id, typ) + b"." + base64url.encode(payload) for payload, typ in batch]
        made = self._made(key, inputs, deadline)
        if deadline is not None:
            deadline.check()
        signed = zip(inputs, made, strict=True)
        facts = [{**asked, **signature_facts(text, one.value, asked["actor"], one.request_id)} for text, one in signed]
        self._release.commit(key.record, facts)
        tokens = (text + b"." + base64url.encode(one.value) for text, one in zip(inputs, made, strict=True))
        return [SignedToken(token.decode("ascii"), key.key_id, name) for token in tokens]

    def _made(self, key: SigningKey, inputs: Sequence[bytes], deadline: Deadline | None) -> list[BackendSignature]:
        checked = partial(
            sign_checked, backend_named(self._backends, key.record.backend), key.record.handle, key.public
        )
        queue = self._queues.get(key.record.backend)
        return [checked(one) for one in inputs] if queue is None else queue.each(checked, inputs, deadline)

    def _report(self, record: KeyRecord, signatures: int, began: float, reason: Reason | None) -> None:
        if self._observer is not None:
            spent_s = self._clock.monotonic() - began
            key_id, backend = str(record.key_id), record.backend
            event = TokenSigned(self._issuer, record.algorithm, key_id, spent_s, reason, backend, signatures)
            tell(self._observer, event)

    def _current(self) -> tuple[SigningKeys, Mapping[str, SigningKey]]:
        """The active keys, and for the handle of each one that it vouches for and that is held here.

        They are looked up again only when the catalog's version has changed. The fence covers the rest.
        """
        version, known = self._catalog.version(), self._known
        if known is None or known[0] != version:
            keys, records = signing_keys(self._catalog, self._issuer, self._purpose), None
            delegates: dict[str, SigningKey] = {}
            for active in keys.all:
                records = records or self._catalog.records(self._issuer)
                delegate = find_delegate(records, active.record, self._backends)
                if delegate is not None:
                    delegates[active.record.handle] = SigningKey.of(delegate)
            self._known = known = (version, keys, delegates)
        return known[1], known[2]
