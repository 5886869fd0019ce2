"""The work that everybody does: which token, which keys, which claims."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import sealwright as sw
from sealwright.jose import base64url

ISSUER, AUDIENCE = "https://id.example", "orders"
ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA", "HS256")
CUSTOM = {"sub": "alice", "scope": "read write", "name": "Alice", "tenant": "t1", "roles": ["a", "b"]}
Key = sw.PrivateJWK | sw.SecretJWK


@dataclass(frozen=True)
class Work:
    """One algorithm's keys and its good token: 10 claims, signed by the second of three keys, which its kid names."""

    alg: str
    keys: tuple[Key, Key, Key]
    custom: dict[str, Any] = field(default_factory=lambda: dict(CUSTOM))

    @classmethod
    def of(cls, alg: str, custom: dict[str, Any] | None = None) -> Work:
        return cls(alg, (make(alg), make(alg), make(alg)), dict(custom or CUSTOM))

    @property
    def key(self) -> Key:
        return self.keys[1]

    @property
    def kid(self) -> str:
        assert self.key.key_id is not None
        return self.key.key_id

    def claims(self) -> dict[str, Any]:
        """The 10 claims of the token to verify."""
        now = int(time.time())
        return {**self.custom, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 7200}

    def token(self, key: Key | None = None, **changed: Any) -> str:
        payload = json.dumps({**self.claims(), **changed}, separators=(",", ":")).encode()
        return sw.sign(payload, key or self.key, typ="JWT")

    def claims_to_sign(self) -> dict[str, Any]:
        """The 10 claims to sign. Peers get them ready; ours makes jti, iat and exp at each call, as it always does."""
        now = int(time.time())
        times = {"iat": now, "exp": now + 900, "jti": "0123456789abcdef0123456789abcdef"}
        return {**self.custom, "iss": ISSUER, "aud": AUDIENCE, **times}

    def public_members(self) -> list[dict[str, Any]]:
        """What a verifier is given, as JWKs: the public keys, or the secrets."""
        return [key.public.to_dict() if isinstance(key, sw.PrivateJWK) else members(key) for key in self.keys]


def make(alg: str) -> Key:
    return sw.SecretJWK.generate(alg) if alg == "HS256" else sw.PrivateJWK.generate(alg)


def members(key: Key) -> dict[str, Any]:
    """A key with its secret half, as a JWK."""
    return key.export_secret_dict() if isinstance(key, sw.SecretJWK) else key.export_private_dict()


def native(key: Key) -> Any:
    """The same key as the primitive wants it: bytes, or a private key of ``cryptography``."""
    jwk = members(key)
    number = {name: int.from_bytes(base64url.decode_text(value), "big") for name, value in _numbers(jwk)}
    if jwk["kty"] == "oct":
        return base64url.decode_text(jwk["k"])
    if jwk["kty"] == "OKP":
        return ed25519.Ed25519PrivateKey.from_private_bytes(base64url.decode_text(jwk["d"]))
    if jwk["kty"] == "EC":
        return ec.derive_private_key(number["d"], ec.SECP256R1())
    public = rsa.RSAPublicNumbers(number["e"], number["n"])
    parts = (number[name] for name in ("p", "q", "d", "dp", "dq", "qi"))
    return rsa.RSAPrivateNumbers(*parts, public).private_key()


def pem(key: Key) -> bytes:
    """The private key as PEM, for the peers that read nothing else."""
    pkcs8, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    text: bytes = native(key).private_bytes(serialization.Encoding.PEM, pkcs8, nothing)
    return text


def _numbers(jwk: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, jwk[name]) for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi") if name in jwk]
