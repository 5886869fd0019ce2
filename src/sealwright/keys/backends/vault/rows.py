"""What transit calls each algorithm, what its sign endpoint wants, and what it answers with."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sealwright.errors import BackendError, Reason
from sealwright.jose.jwk import PublicJWK
from sealwright.keys import signature_forms

# "alg" to the type of a transit key.
KEY_TYPES: dict[str, str] = {
    "ES256": "ecdsa-p256",
    "ES384": "ecdsa-p384",
    "ES512": "ecdsa-p521",
    **{f"{family}{bits}": "rsa-2048" for family in ("RS", "PS") for bits in (256, 384, 512)},
    "Ed25519": "ed25519",
}
POINTER_TYPE = "aes256-gcm96"
_VERSION = 1
_PARAMETERS: dict[str, dict[str, str]] = {
    "ES": {"marshaling_algorithm": "jws"},
    "RS": {"signature_algorithm": "pkcs1v15"},
    "PS": {"signature_algorithm": "pss", "salt_length": "hash"},  # transit's own default salt is no JWS (RFC 7518 §3.5)
}
_ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")  # what precedes the 32 bytes of the key (RFC 8410)


def sign_request(target: str, algorithm: str, signing_input: bytes) -> tuple[str, dict[str, Any]]:
    """Path and body."""
    hash_name = signature_forms.hash_name(algorithm)
    if hash_name is None:
        return f"sign/{target}", {"input": _base64(signing_input), "key_version": _VERSION}
    body = {"input": _base64(signature_forms.digest(algorithm, signing_input)), "prehashed": True}
    return f"sign/{target}/sha2-{hash_name[3:]}", {**body, "key_version": _VERSION, **_PARAMETERS[algorithm[:2]]}


def signature(data: dict[str, Any]) -> bytes:
    """The bytes in ``vault:v1:<base64 or base64url>``. Raises BackendError ``backend.wrong_signature``."""
    try:
        product, version, text = data["signature"].split(":")
        if (product, version) == ("vault", f"v{_VERSION}"):
            text = text.replace("-", "+").replace("_", "/")
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (KeyError, TypeError, AttributeError, ValueError, binascii.Error):
        pass
    raise BackendError(Reason.BACKEND_WRONG_SIGNATURE, "Vault's answer holds no signature of the key's first version")


def public_key(found: dict[str, Any], algorithm: str) -> PublicJWK:
    """From what transit says of a key. Raises BackendError ``backend.failed``."""
    try:
        text = found["keys"][str(_VERSION)]["public_key"]
        spki = _ED25519_SPKI + base64.b64decode(text, validate=True) if algorithm == "Ed25519" else text.encode()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = "the first version of this transit key is not there any more"
        raise BackendError(Reason.BACKEND_FAILED, message, detail=type(error).__name__) from error
    return signature_forms.public_key(spki, algorithm)


def names(data: dict[str, Any]) -> list[str]:
    """From a listing, in order. Raises BackendError ``backend.failed``."""
    listed = data.get("keys")
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise BackendError(Reason.BACKEND_FAILED, "Vault's answer is no list of keys")
    return sorted(listed)


def fits(found: dict[str, Any], algorithm: str) -> bool:
    """Whether this transit key has one version, and signs with the algorithm; RSA keys may have any size."""
    wanted, kind = KEY_TYPES.get(algorithm), str(found.get("type"))
    same = kind == wanted or (wanted == "rsa-2048" and kind.startswith("rsa-"))
    return same and found.get("latest_version") == _VERSION


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
