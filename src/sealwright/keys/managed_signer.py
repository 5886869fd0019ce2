"""ManagedSigner: signs with the active key of an issuer, and checks its own output before release."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import BackendError, Reason, RefusedError, SealwrightError
from sealwright.events import Observer, TokenSigned
from sealwright.jose import signing
from sealwright.jose.algorithms import Algorithm
from sealwright.keys.audit import AuditEntry
from sealwright.keys.backend import KeyBackend
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.issuer_keys import IssuerKeys
from sealwright.keys.record import KeyRecord, Purpose

ATTEMPTS = 3  # a rotation between taking the key and releasing the signature costs one


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A released token and the key that signed it."""

    token: str
    key_id: str
    algorithm: str

    def __repr__(self) -> str:
        return f"SignedToken(kid={self.key_id!r}, alg={self.algorithm!r}, <redacted>)"


class ManagedSigner:
    """Signs for one issuer. Every released signature was verified and has its audit entry."""

    def __init__(
        self,
        catalog: KeyCatalog,
        backends: Mapping[str, KeyBackend],
        issuer: str,
        *,
        purpose: Purpose = "token",
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
    ) -> None:
        self._catalog = catalog
        self._backends = backends
        self._issuer = issuer
        self._purpose: Purpose = purpose
        self._clock = clock
        self._observer = observer

    def sign(self, payload: bytes, *, typ: str | None, actor: str) -> SignedToken:
        """A compact JWS by the key that is active now.

        Raises RefusedError ``guard.no_active_key`` or ``move.unknown_issuer``, BackendError, or UnavailableError
        when the audit entry cannot be written: then nothing is released.
        """
        for attempt in range(1, ATTEMPTS + 1):
            key = _ActiveKey(self._active(), self._backends, self._catalog, self._clock, actor)
            try:
                return self._observed(key, payload, typ)
            except RefusedError as error:
                if error.reason is not Reason.CATALOG_CONFLICT or attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _active(self) -> KeyRecord:
        return IssuerKeys(self._catalog.records(self._issuer), self._issuer, self._purpose).check_open().active()

    def _observed(self, key: _ActiveKey, payload: bytes, typ: str | None) -> SignedToken:
        began, reason = self._clock.monotonic(), None
        try:
            return SignedToken(signing.sign(payload, key, typ=typ), key.key_id, key.algorithm.name)
        except SealwrightError as error:
            reason = error.reason
            raise
        finally:
            if self._observer is not None:
                spent_s = self._clock.monotonic() - began
                event = TokenSigned(self._issuer, key.algorithm.name, key.key_id, spent_s, reason, key.backend)
                self._observer.observe(event)


class _ActiveKey:
    """A Signer bound to one active record."""

    def __init__(
        self,
        record: KeyRecord,
        backends: Mapping[str, KeyBackend],
        catalog: KeyCatalog,
        clock: Clock,
        actor: str,
    ) -> None:
        self._record = record
        self._public = record.public_key()
        self._backend = backends[record.backend]
        self._catalog = catalog
        self._clock = clock
        self._actor = actor

    @property
    def algorithm(self) -> Algorithm:
        assert self._public.algorithm is not None
        return self._public.algorithm

    @property
    def key_id(self) -> str:
        return str(self._record.key_id)

    @property
    def backend(self) -> str:
        return self._record.backend

    def sign(self, signing_input: bytes) -> bytes:
        signature = self._backend.sign(self._record.handle, signing_input)
        if not self._public.verify(signature, signing_input):
            message = "the key backend's signature does not verify, and was not released"
            raise BackendError(Reason.BACKEND_WRONG_SIGNATURE, message)
        self._catalog.record_signature(self._record, self._entry(signing_input, signature))
        return signature

    def _entry(self, signing_input: bytes, signature: bytes) -> AuditEntry:
        facts = {"signing_input_sha256": _sha256(signing_input), "signature_sha256": _sha256(signature)}
        now, record = self._clock.now(), self._record
        return AuditEntry(now, self._actor, "token.signed", record.issuer, record.key_id, "", facts)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
