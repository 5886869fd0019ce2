"""verify_signature(): from an unverified token to a VerifiedJWS, against given keys (RFC 7515 §5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose import compact, strict_json
from sealwright.jose.compact import UnverifiedJWS
from sealwright.jose.header import Header
from sealwright.jose.jwk import PublicJWK, SecretJWK
from sealwright.jose.jwk_set import JWKSet

VerificationKey = PublicJWK | SecretJWK


@dataclass(frozen=True, slots=True)
class VerifiedJWS:
    """A token whose signature was proven with ``key``. Its claims are true only if the key's owner is honest."""

    header: Header
    payload: bytes
    key: VerificationKey

    @property
    def key_id(self) -> str | None:
        return self.key.key_id

    def json(self) -> dict[str, Any]:
        """The payload as a JSON object. Raises RejectedError ``json.*``."""
        return strict_json.parse_object(self.payload)

    def __repr__(self) -> str:
        return f"VerifiedJWS(alg={self.header.algorithm!r}, kid={self.key_id!r}, {len(self.payload)} bytes)"


def verify_signature(token: str | bytes, keys: PublicJWK | SecretJWK | JWKSet) -> VerifiedJWS:
    """Prove a signature, and nothing else: no claim, no expiry, no audience is looked at.

    Raises RejectedError with the stage that failed: ``token.*``, ``header.*``, ``key.*``, ``algorithm.*``
    or ``signature.invalid``.
    """
    unverified = compact.parse(token)
    return verify_with_key(unverified, select_key(unverified.header, keys))


def select_key(header: Header, keys: PublicJWK | SecretJWK | JWKSet) -> VerificationKey:
    """The key that the header's kid names. A kid that is given and differs is never ignored."""
    if isinstance(keys, JWKSet):
        return keys.find(header.key_id)
    if header.key_id is not None and keys.key_id is not None and header.key_id != keys.key_id:
        raise RejectedError(Reason.KEY_NOT_FOUND, "the token names another key than the one given")
    return keys


def verify_with_key(unverified: UnverifiedJWS, key: VerificationKey) -> VerifiedJWS:
    """The key's own algorithm must be the token's; then the signature must hold."""
    if key.algorithm is None:
        raise RejectedError(Reason.KEY_AMBIGUOUS, 'the key has no "alg": bind it with with_algorithm()')
    if unverified.header.algorithm not in key.accepts:
        raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "the token's algorithm is not its key's")
    if not key.verify(unverified.signature, unverified.signing_input):
        raise RejectedError(Reason.SIGNATURE_INVALID, "the signature does not match")
    return VerifiedJWS(unverified.header, unverified.unverified_payload(), key)
