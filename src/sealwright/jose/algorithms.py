"""The table: one row per "alg" name (RFC 7518 §3, RFC 8037, RFC 8812, RFC 9864, RFC 9964).

A row is everything this package knows about one algorithm. Callers are handed the row, never the name,
so nothing elsewhere enumerates algorithms. There is no registry to configure, and "none" has no row.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from sealwright.errors import Reason, RejectedError


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One "alg": which keys fit it, and how it signs and verifies bytes.

    ``minimum_bits`` is the smallest key of this row (RSA modulus, HMAC secret; 0 where the curve fixes it).
    ``accepts`` lists the "alg" names in a token that a key of this row verifies.
    """

    name: str
    kty: str
    curves: tuple[str, ...]
    minimum_bits: int
    accepts: frozenset[str]
    sign: Callable[[Any, bytes], bytes]
    verify: Callable[[Any, bytes, bytes], bool]  # (native key, signature, signing input)

    @property
    def symmetric(self) -> bool:
        return self.kty == "oct"

    def fits(self, kty: str, curve: str | None) -> bool:
        return self.kty == kty and (not self.curves or curve in self.curves)


def algorithm(name: object) -> Algorithm:
    """The row called ``name``. Raises RejectedError ``algorithm.unknown``; the match is exact and case-sensitive."""
    row = ALGORITHMS.get(name) if isinstance(name, str) else None
    if row is None:
        raise RejectedError(Reason.ALGORITHM_UNKNOWN, "the algorithm is not one that this package knows")
    return row


def _hmac(bits: int) -> Algorithm:
    name, digest = f"HS{bits}", f"sha{bits}"

    def sign(secret: bytes, data: bytes) -> bytes:
        return hmac.digest(secret, data, digest)

    def verify(secret: bytes, signature: bytes, data: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(secret, data, digest), signature)

    return Algorithm(name, "oct", (), bits, frozenset({name}), sign, verify)


def _rsa(name: str, scheme: padding.AsymmetricPadding, digest: hashes.HashAlgorithm) -> Algorithm:
    def sign(key: Any, data: bytes) -> bytes:
        signature: bytes = key.sign(data, scheme, digest)
        return signature

    return Algorithm(name, "RSA", (), 2048, frozenset({name}), sign, _verifier(scheme, digest))


def _pkcs1(bits: int) -> Algorithm:
    return _rsa(f"RS{bits}", padding.PKCS1v15(), _SHA2[bits])


def _pss(bits: int) -> Algorithm:
    # RFC 7518 §3.5: the salt is as long as the hash, and MGF1 uses the same hash.
    digest = _SHA2[bits]
    return _rsa(f"PS{bits}", padding.PSS(padding.MGF1(digest), digest.digest_size), digest)


def _ecdsa(name: str, curve: str, digest: hashes.HashAlgorithm, size: int) -> Algorithm:
    """ECDSA with the fixed-length r||s of RFC 7518 §3.4; ``size`` is the length of r and of s in bytes."""
    scheme = ec.ECDSA(digest)
    verify_der = _verifier(scheme)

    def sign(key: Any, data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(key.sign(data, scheme))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def verify(key: Any, signature: bytes, data: bytes) -> bool:
        if len(signature) != 2 * size:
            return False
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        return r > 0 and s > 0 and verify_der(key, utils.encode_dss_signature(r, s), data)

    return Algorithm(name, "EC", (curve,), 0, frozenset({name}), sign, verify)


def _bare(name: str, kty: str, curves: tuple[str, ...], accepts: set[str]) -> Algorithm:
    """EdDSA and ML-DSA: the key fixes every parameter."""

    def sign(key: Any, data: bytes) -> bytes:
        signature: bytes = key.sign(data)
        return signature

    return Algorithm(name, kty, curves, 0, frozenset(accepts), sign, _verifier())


def _verifier(*parameters: Any) -> Callable[[Any, bytes, bytes], bool]:
    def verify(key: Any, signature: bytes, data: bytes) -> bool:
        try:
            key.verify(signature, data, *parameters)
        except (InvalidSignature, UnsupportedAlgorithm):
            return False
        return True

    return verify


_SHA2: Mapping[int, hashes.HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}

_ROWS = (
    *(_hmac(bits) for bits in _SHA2),
    *(_pkcs1(bits) for bits in _SHA2),
    *(_pss(bits) for bits in _SHA2),
    _ecdsa("ES256", "P-256", _SHA2[256], 32),
    _ecdsa("ES384", "P-384", _SHA2[384], 48),
    _ecdsa("ES512", "P-521", _SHA2[512], 66),
    _ecdsa("ES256K", "secp256k1", _SHA2[256], 32),
    # A key's own "alg" decides which name is written; a token may carry either name of its curve.
    _bare("Ed25519", "OKP", ("Ed25519",), {"Ed25519", "EdDSA"}),
    _bare("Ed448", "OKP", ("Ed448",), {"Ed448", "EdDSA"}),
    _bare("EdDSA", "OKP", ("Ed25519", "Ed448"), {"EdDSA"}),
    _bare("ML-DSA-44", "AKP", ("ML-DSA-44",), {"ML-DSA-44"}),
    _bare("ML-DSA-65", "AKP", ("ML-DSA-65",), {"ML-DSA-65"}),
    _bare("ML-DSA-87", "AKP", ("ML-DSA-87",), {"ML-DSA-87"}),
)

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType({row.name: row for row in _ROWS})
ASYMMETRIC = frozenset(row.name for row in _ROWS if not row.symmetric)
SYMMETRIC = frozenset(row.name for row in _ROWS if row.symmetric)
