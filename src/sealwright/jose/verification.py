"""verify_signature(): from an unverified token to a VerifiedJWS, against given keys (RFC 7515 §5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose import compact, strict_json
from sealwright.jose.compact import UnverifiedJWS
from sealwright.jose.header import Header
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.secret_jwk import SecretJWK

VerificationKey = PublicJWK | SecretJWK
Keys = PublicJWK | SecretJWK | JWKSet


@dataclass(frozen=True, slots=True)
class VerifiedJWS:
    """A token whose signature was proven with ``key``. Its claims are true only if the key's owner is honest.

    ``payload`` is exactly the bytes that were signed, whether the token carried them or they were detached.
    """

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


def verify_signature(token: str | bytes, keys: Keys, *, payload: bytes | None = None) -> VerifiedJWS:
    """Prove a compact JWS, and nothing else: no claim, no expiry, no audience is looked at.

    ``payload`` is the detached content of a token that carries none (RFC 7515 Appendix F). Raises RejectedError
    with the stage that failed: ``token.*``, ``header.*``, ``payload.*``, ``key.*``, ``algorithm.*`` or
    ``signature.invalid``.
    """
    unverified = compact.parse(token)
    if payload is not None:
        unverified = unverified.with_payload(payload)
    key = select_key(unverified.header.key_id, keys)
    check_signature(unverified, key)
    return VerifiedJWS(unverified.header, unverified.unverified_payload() if payload is None else payload, key)


def select_key(key_id: str | None, keys: Keys) -> VerificationKey:
    """The key of this kid. A kid that is given and differs is never ignored."""
    if isinstance(keys, JWKSet):
        return keys.find(key_id)
    if key_id is not None and keys.key_id is not None and key_id != keys.key_id:
        raise RejectedError(Reason.KEY_NOT_FOUND, "the token names another key than the one given")
    return keys


def check_signature(unverified: UnverifiedJWS, key: VerificationKey) -> None:
    """The key's own algorithm must be the token's; then the signature must hold."""
    check_algorithm(unverified.header, key)
    if not key.verify(unverified.signature, unverified.signing_input):
        raise RejectedError(Reason.SIGNATURE_INVALID, "the signature does not match")


def check_algorithm(header: Header, key: VerificationKey) -> None:
    """RFC 8725 §3.1. Raises ``key.ambiguous`` for a key without one, ``algorithm.key_mismatch`` for another's."""
    if header.algorithm not in key.accepts:
        if key.algorithm is None:
            raise RejectedError(Reason.KEY_AMBIGUOUS, 'the key has no "alg": bind it with with_algorithm()')
        raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "the token's algorithm is not its key's")
