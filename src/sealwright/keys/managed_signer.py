"""ManagedSigner: signs with the active key of an issuer, and checks its own output before release."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import BackendError, Reason, SealwrightError
from sealwright.events import Observer, TokenSigned, tell
from sealwright.jose import signing
from sealwright.jose.algorithms import Algorithm
from sealwright.jose.jwk import PublicJWK
from sealwright.keys.audit import AuditEntry
from sealwright.keys.backend import KeyBackend
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.record import KeyRecord, Purpose
from sealwright.keys.shares import Draw, SigningKeys, drawn, signing_keys

ATTEMPTS = 10  # each rotation between taking the key and releasing the signature costs one


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
        draw: Draw = drawn,
    ) -> None:
        self._catalog = catalog
        self._backends = backends
        self._issuer = issuer
        self._purpose: Purpose = purpose
        self._clock = clock
        self._observer = observer
        self._draw = draw
        self._known: tuple[int, SigningKeys] | None = None

    def sign(self, payload: bytes, *, typ: str | None, actor: str) -> SignedToken:
        """A compact JWS by the key that is active now.

        Raises RefusedError ``guard.no_active_key`` or ``move.unknown_issuer``, BackendError, or UnavailableError
        when the audit entry cannot be written: then nothing is released.
        """
        began = self._clock.monotonic()
        for attempts_left in reversed(range(ATTEMPTS)):
            record, public = self._active()
            try:
                signed = self._signed(record, public, payload, typ, actor)
            except SealwrightError as error:
                if error.reason is Reason.CATALOG_CONFLICT and attempts_left:
                    self._known = None  # the key was rotated away: look again
                    continue
                self._report(record, began, error.reason)
                raise
            self._report(record, began, None)
            return signed
        raise AssertionError("unreachable")

    def _signed(self, record: KeyRecord, public: PublicJWK, payload: bytes, typ: str | None, actor: str) -> SignedToken:
        key = _ActiveKey(record, public, self._backends[record.backend], self._catalog, self._clock, actor)
        return SignedToken(signing.sign(payload, key, typ=typ), key.key_id, record.algorithm)

    def _report(self, record: KeyRecord, began: float, reason: Reason | None) -> None:
        if self._observer is not None:
            spent_s = self._clock.monotonic() - began
            key_id = str(record.key_id)
            event = TokenSigned(self._issuer, record.algorithm, key_id, spent_s, reason, backend=record.backend)
            tell(self._observer, event)

    def _active(self) -> tuple[KeyRecord, PublicJWK]:
        """An active key; looked up again only when the catalog's version has changed. The fence covers the rest."""
        version = self._catalog.version()
        if self._known is None or self._known[0] != version:
            self._known = (version, signing_keys(self._catalog, self._issuer, self._purpose))
        return self._known[1].pick(self._draw)


@dataclass(frozen=True, slots=True)
class _ActiveKey:
    """A Signer bound to one active record."""

    record: KeyRecord
    public: PublicJWK
    backend: KeyBackend
    catalog: KeyCatalog
    clock: Clock
    actor: str

    @property
    def algorithm(self) -> Algorithm:
        assert self.public.algorithm is not None
        return self.public.algorithm

    @property
    def key_id(self) -> str:
        return str(self.record.key_id)

    def sign(self, signing_input: bytes) -> bytes:
        made = self.backend.sign(self.record.handle, signing_input)
        signature = made.value
        if not self.public.verify(signature, signing_input):
            message = "the key backend's signature does not verify, and was not released"
            raise BackendError(Reason.BACKEND_WRONG_SIGNATURE, message)
        self.catalog.record_signatures(self.record, self._entry(signing_input, signature, made.request_id))
        return signature

    def _entry(self, signing_input: bytes, signature: bytes, request_id: str | None) -> AuditEntry:
        facts = {"signing_input_sha256": _sha256(signing_input), "signature_sha256": _sha256(signature)}
        if request_id is not None:
            facts["backend_request_id"] = request_id
        now, record = self.clock.now(), self.record
        return AuditEntry(now, self.actor, "token.signed", record.issuer, record.key_id, "", facts)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
