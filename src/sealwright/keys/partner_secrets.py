"""PartnerSecrets: sign and verify with the HMAC secret that one partner shares, which lives like every key."""

from __future__ import annotations

from collections.abc import Mapping

from sealwright.clock import Clock
from sealwright.errors import BackendError, Reason, RefusedError, RejectedError
from sealwright.jose import base64url, compact, signing
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.jose.verification import VerifiedJWS, verify_signature
from sealwright.keys.audit import AuditEntry
from sealwright.keys.backend import SecretBackend
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.issuer_keys import IssuerKeys
from sealwright.keys.managed_signer import ATTEMPTS, SignedToken
from sealwright.keys.record import KeyRecord, Purpose
from sealwright.keys.release import Release, Signature, signature_facts

PURPOSE: Purpose = "shared-secret"


class PartnerSecrets:
    """``partner`` is the issuer of the records. Who is not active does not sign; who is published still verifies."""

    def __init__(self, catalog: KeyCatalog, backends: Mapping[str, SecretBackend], clock: Clock) -> None:
        self._catalog = catalog
        self._backends = backends
        self._clock = clock
        self._release = Release(catalog, clock)

    def sign(self, partner: str, payload: bytes, *, typ: str, actor: str) -> SignedToken:
        """A compact JWS by the secret that is active now. Raises as ``ManagedSigner.sign``."""
        for attempts_left in reversed(range(ATTEMPTS)):
            record = self._keys(partner).lineage().active()
            secret = self._secret(record)
            token = signing.sign(payload, secret, typ=typ)
            try:
                self._release.commit(record, [_facts(token, actor)])
            except RefusedError as error:
                if error.reason is Reason.CATALOG_CONFLICT and attempts_left:
                    continue
                raise
            return SignedToken(token, str(record.key_id), record.algorithm)
        raise AssertionError("unreachable")

    def verify(self, partner: str, token: str | bytes) -> VerifiedJWS:
        """The payload of a JWS that this partner, or we, signed. Raises RejectedError, ``key.not_found`` among them."""
        key_id = compact.parse(token).header.key_id
        known = [record for record in self._keys(partner).all if record.published and record.key_id == key_id]
        if key_id is None or not known:
            raise RejectedError(Reason.KEY_NOT_FOUND, "no secret of this partner has the token's kid")
        return verify_signature(token, self._secret(known[0]))

    def reveal(self, record: KeyRecord, *, actor: str, reason: str) -> SecretJWK:
        """The secret, to hand it over; the audit says so before anybody sees it."""
        if record.purpose != PURPOSE or not record.published:
            raise RefusedError(Reason.MOVE_ILLEGAL, "this is no shared secret that is in use")
        now = self._clock.now()
        self._catalog.commit([], AuditEntry(now, actor, "secret.revealed", record.issuer, record.key_id, reason, {}))
        return self._secret(record)

    def _keys(self, partner: str) -> IssuerKeys:
        return IssuerKeys(self._catalog.records(partner), partner, PURPOSE).check_open()

    def _secret(self, record: KeyRecord) -> SecretJWK:
        backend = self._backends.get(record.backend)
        if backend is None:
            raise BackendError(Reason.BACKEND_FAILED, f"no secret backend is called {record.backend} here")
        return backend.reveal(record.handle)


def _facts(token: str, actor: str) -> Signature:
    signing_input, _, signature = token.rpartition(".")
    return signature_facts(signing_input.encode(), base64url.decode_text(signature), actor)
