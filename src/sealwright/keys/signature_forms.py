"""What vendors' signing calls want and answer, turned into JWS form once for all of them (RFC 7518 §3.4, §3.5)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealwright.errors import BackendError, Reason, RejectedError
from sealwright.jose import key_formats
from sealwright.jose.jwk import PublicJWK

_HASHES = {"256": "sha256", "384": "sha384", "512": "sha512", "256K": "sha256"}
_ECDSA_BYTES = {"ES256": 32, "ES384": 48, "ES512": 66, "ES256K": 32}


def hash_name(algorithm: str) -> str | None:
    """The hashlib name of what ES*, RS* and PS* sign; None for EdDSA and ML-DSA, which sign the message itself."""
    return _HASHES.get(algorithm[2:]) if algorithm[:2] in ("ES", "RS", "PS") else None


def digest(algorithm: str, signing_input: bytes) -> bytes:
    """The digest to hand over. AssertionError for an algorithm that has none: ask ``hash_name`` first."""
    name = hash_name(algorithm)
    assert name is not None
    return hashlib.new(name, signing_input).digest()


def ecdsa_from_der(algorithm: str, der: bytes) -> bytes:
    """r||s of fixed length from SEQUENCE { INTEGER r, INTEGER s }. BackendError ``backend.wrong_signature``."""
    size = _ECDSA_BYTES[algorithm]
    try:
        r, s = decode_dss_signature(der)
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    except (ValueError, OverflowError) as error:
        raise BackendError(Reason.BACKEND_WRONG_SIGNATURE, "the key backend's signature has no ECDSA form") from error


def public_key(spki: bytes, algorithm: str) -> PublicJWK:
    """The public half from SubjectPublicKeyInfo (PEM or DER), bound to its algorithm; its kid is its thumbprint.

    Raises BackendError ``backend.failed`` for a key that does not fit.
    """
    try:
        return key_formats.read_public(spki, alg=algorithm)
    except RejectedError as error:
        raise _not_fitting(error) from error


def public_key_of(members: Mapping[str, Any], algorithm: str) -> PublicJWK:
    """As ``public_key``, from the members of a JWK."""
    try:
        key = PublicJWK.from_dict({**members, "use": "sig", "alg": algorithm})
        return PublicJWK.from_dict({**key.to_dict(), "kid": key.thumbprint()})
    except RejectedError as error:
        raise _not_fitting(error) from error


def _not_fitting(error: RejectedError) -> BackendError:
    message = "the key backend answered with a public key that does not fit"
    return BackendError(Reason.BACKEND_FAILED, message, detail=error.message)
