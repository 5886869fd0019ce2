"""What AWS KMS calls each algorithm, and what its Sign wants to be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.keys import signature_forms

RAW_BYTES_MOST = 4096
# "alg" to KeySpec and SigningAlgorithm.
ROWS: dict[str, tuple[str, str]] = {
    "ES256": ("ECC_NIST_P256", "ECDSA_SHA_256"),
    "ES384": ("ECC_NIST_P384", "ECDSA_SHA_384"),
    "ES512": ("ECC_NIST_P521", "ECDSA_SHA_512"),
    "ES256K": ("ECC_SECG_P256K1", "ECDSA_SHA_256"),
    **{f"RS{bits}": ("RSA_2048", f"RSASSA_PKCS1_V1_5_SHA_{bits}") for bits in (256, 384, 512)},
    **{f"PS{bits}": ("RSA_2048", f"RSASSA_PSS_SHA_{bits}") for bits in (256, 384, 512)},
    "Ed25519": ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
}


def sign_arguments(algorithm: str, signing_input: bytes) -> dict[str, Any]:
    """Raises RejectedError ``backend.input_too_large``."""
    named = {"SigningAlgorithm": ROWS[algorithm][1]}
    if signature_forms.hash_name(algorithm) is not None:
        return {**named, "MessageType": "DIGEST", "Message": signature_forms.digest(algorithm, signing_input)}
    if len(signing_input) > RAW_BYTES_MOST:
        message = f"AWS KMS signs at most {RAW_BYTES_MOST} bytes with {algorithm}: use ES256, or sign a digest"
        raise RejectedError(Reason.BACKEND_INPUT_TOO_LARGE, message)
    return {**named, "MessageType": "RAW", "Message": signing_input}


def fits(metadata: Mapping[str, Any], algorithm: str) -> bool:
    """Whether the key that KMS describes so can sign with the algorithm; RSA keys may have any size."""
    spec = ROWS[algorithm][0] if algorithm in ROWS else None
    same = metadata["KeySpec"] == spec or (spec == "RSA_2048" and metadata["KeySpec"].startswith("RSA_"))
    return same and metadata["KeyUsage"] == "SIGN_VERIFY"
