"""What a key in a vault is for, whose it is, and its public half. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azure.keyvault.keys import KeyProperties, KeyVaultKey

from sealwright.jose import base64url
from sealwright.jose.jwk import PublicJWK
from sealwright.keys import signature_forms

PREFIX, HANDLE = "sealwright-", "sealwright-handle"
ALGORITHM, VERSION = "sealwright-algorithm", "sealwright-version"  # tags; an RSA key has no algorithm of its own
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "ES256K": "P-256K"}
RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_COORDINATE_BYTES = {"ES256": 32, "ES384": 48, "ES512": 66, "ES256K": 32}


def kind(algorithm: str, rsa_bits: int, *, hsm: bool) -> Mapping[str, Any]:
    """How to ask for such a key."""
    hardware = "-HSM" if hsm else ""
    if algorithm in CURVES:
        return {"key_type": f"EC{hardware}", "curve": CURVES[algorithm]}
    return {"key_type": f"RSA{hardware}", "size": rsa_bits}


def handle_of(key: KeyProperties) -> str | None:
    name = str(key.name)
    own = name.removeprefix(PREFIX) if name.startswith(PREFIX) else None
    return (key.tags or {}).get(HANDLE) or own


def created(version: KeyProperties) -> float:
    return version.created_on.timestamp() if version.created_on else 0.0


def fitting(key: KeyVaultKey) -> tuple[str, ...]:
    """The algorithms that this key could be for."""
    jwk: Any = key.key
    if key.key_type.removesuffix("-HSM") == "RSA":
        return RSA
    return tuple(algorithm for algorithm, curve in CURVES.items() if jwk.crv == curve)


def public(key: KeyVaultKey, algorithm: str) -> PublicJWK:
    """``algorithm`` is one of those that fit. Raises BackendError ``backend.failed`` for a key that cannot be used."""
    jwk: Any = key.key
    if algorithm in RSA:
        members = {"kty": "RSA", "n": _text(jwk.n.lstrip(b"\0")), "e": _text(jwk.e.lstrip(b"\0"))}
    else:
        size, curve = _COORDINATE_BYTES[algorithm], CURVES[algorithm]
        x, y = (_text(value.rjust(size, b"\0")) for value in (jwk.x, jwk.y))
        members = {"kty": "EC", "crv": {"P-256K": "secp256k1"}.get(curve, curve), "x": x, "y": y}
    return signature_forms.public_key_of(members, algorithm)


def _text(value: bytes) -> str:
    return base64url.encode_text(value)
