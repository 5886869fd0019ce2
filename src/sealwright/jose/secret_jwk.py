"""SecretJWK: an HMAC secret, which signs and verifies, and is never public (RFC 7518 §3.2, §6.4)."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url
from sealwright.jose.algorithms import Algorithm, algorithm
from sealwright.jose.key_members import check_text, check_times, check_usable, check_use, limits_of
from sealwright.jose.key_types import member_bytes
from sealwright.jose.primitives import Hasher, Sign, Streaming, Verify
from sealwright.jose.unshowable import Unshowable

MAXIMUM_SECRET_BYTES = 1024
_FOR_SECRET = {"sign", "verify"}


class SecretJWK(Unshowable):
    """One HMAC secret ("oct"); signs and verifies. It has no public half and never enters a JWKSet."""

    __slots__ = ("_limits", "_secret", "accepts", "algorithm", "has_limits", "key_id", "sign", "verify")

    algorithm: Algorithm
    sign: Sign  # signing input -> MAC
    verify: Verify  # (MAC, signing input) -> whether it is this key's

    def __init__(
        self, secret: bytes, row: Algorithm, key_id: str | None, *, limits: Mapping[str, Any] | None = None
    ) -> None:
        # RFC 7518 §3.2: at least as long as the hash.
        if not row.minimum_bits // 8 <= len(secret) <= MAXIMUM_SECRET_BYTES:
            raise RejectedError(
                Reason.KEY_TOO_WEAK, f"{row.name} needs a secret of {row.minimum_bits // 8} bytes or more"
            )
        if _looks_asymmetric(secret):
            raise RejectedError(Reason.KEY_UNSUITABLE, "the text of another key is not an HMAC secret")
        self._secret = secret
        self.algorithm = row
        self.accepts = row.accepts
        self.key_id = key_id
        self._limits = limits_of(limits or {})
        self.has_limits = bool(self._limits)
        self.sign = row.primitive.signing(secret)
        self.verify = row.primitive.verifying(secret)

    @classmethod
    def generate(cls, alg: str, *, key_id: str | None = None) -> Self:
        """The kid is hexadecimal: one that begins with a hyphen would be an option to a command line."""
        row = _symmetric(algorithm(alg))
        return cls(secrets.token_bytes(row.minimum_bits // 8), row, key_id or secrets.token_hex(16))

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Read an "oct" JWK with an "alg". Raises RejectedError ``key.*``."""
        check_text(members)
        if members.get("kty") != "oct":
            raise RejectedError(Reason.KEY_UNSUITABLE, 'an HMAC secret is a JWK with kty "oct"')
        check_use(members, _FOR_SECRET)
        check_times(members)
        row = _symmetric(algorithm(members.get("alg")))
        return cls(member_bytes(members, "k"), row, members.get("kid"), limits=members)

    def check_usable(self, now: float) -> None:
        """Raises RejectedError ``key.revoked``, ``key.expired`` or ``key.not_yet_valid`` by the key's own members."""
        check_usable(self._limits, now)

    def hasher(self) -> Hasher:
        """A hasher for content that is signed or verified piece by piece."""
        return self._streaming().hasher(self._secret)

    def sign_digest(self, digest: bytes) -> bytes:
        return self._streaming().signing(self._secret)(digest)

    def verify_digest(self, signature: bytes, digest: bytes) -> bool:
        return self._streaming().verifying(self._secret)(signature, digest)

    def _streaming(self) -> Streaming:
        streaming = self.algorithm.primitive.streaming
        assert streaming is not None
        return streaming

    def export_secret_dict(self) -> dict[str, Any]:
        """The secret, in the clear. Search for this name when reviewing."""
        kid = {} if self.key_id is None else {"kid": self.key_id}
        named = {"kty": "oct", "alg": self.algorithm.name, "k": base64url.encode_text(self._secret)}
        return {**named, **kid, **self._limits}


def _symmetric(row: Algorithm) -> Algorithm:
    if not row.symmetric:
        raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "an HMAC secret needs HS256, HS384 or HS512")
    return row


def _looks_asymmetric(secret: bytes) -> bool:
    """A second fence behind the types: a public key or certificate pasted as a secret (CVE-2022-29217)."""
    text = secret.strip()
    if b"-----BEGIN" in text or b'"kty"' in text or text.startswith((b"ssh-", b"ecdsa-sha2-")):
        return True
    return any(_is_der(data) for data in (secret, _der_at_the_start(secret.lstrip()), _unarmoured(text)))


def _der_at_the_start(text: bytes) -> bytes:
    """By its own length (X.690 §8.1.3): what follows it may be spaces, and so may its own last bytes be."""
    if len(text) < 2:
        return b""
    octets = text[1] & 0x7F if text[1] & 0x80 else 0
    size = int.from_bytes(text[2 : 2 + octets]) if octets else text[1]
    return text[: 2 + octets + size]


def _unarmoured(text: bytes) -> bytes:
    """What a PEM without its first and last line, or an "x5c" member, holds."""
    try:
        return urlsafe_b64decode(text + b"==")
    except ValueError:
        return b""


def _is_der(data: bytes) -> bool:
    from cryptography.x509 import load_der_x509_certificate  # slow to import, and only secrets need it

    for load in (load_der_public_key, load_der_x509_certificate):
        with suppress(ValueError, UnsupportedAlgorithm):
            load(data)
            return True
    return False
