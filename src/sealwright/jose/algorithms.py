"""The table: one row per "alg" name (RFC 7518 §3, RFC 8037, RFC 8812, RFC 9864, RFC 9964).

A row is everything this package knows about one algorithm. Callers are handed the row, never the name,
so nothing elsewhere enumerates algorithms. There is no registry to configure, and "none" has no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives import hashes

from sealwright.errors import Reason, RejectedError
from sealwright.jose import primitives
from sealwright.jose.primitives import Primitive


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One "alg": which keys fit it, and how they sign and verify bytes.

    ``minimum_bits`` is the smallest key of this row (RSA modulus, HMAC secret; 0 where the curve fixes it).
    ``accepts`` lists the "alg" names in a token that a key of this row verifies.
    """

    name: str
    kty: str
    curves: tuple[str, ...]
    minimum_bits: int
    accepts: frozenset[str]
    primitive: Primitive

    @property
    def symmetric(self) -> bool:
        return self.kty == "oct"

    @property
    def post_quantum(self) -> bool:
        return self.kty == "AKP"

    def __str__(self) -> str:
        return self.name

    def fits(self, kty: str, curve: str | None) -> bool:
        return self.kty == kty and (not self.curves or curve in self.curves)


def algorithm(name: object) -> Algorithm:
    """The row called ``name``. Raises RejectedError ``algorithm.unknown``; the match is exact and case-sensitive."""
    row = ALGORITHMS.get(name) if isinstance(name, str) else None
    if row is None:
        raise RejectedError(Reason.ALGORITHM_UNKNOWN, "the algorithm is not one that this package knows")
    return row


def _row(
    name: str,
    kty: str,
    primitive: Primitive,
    *,
    curves: tuple[str, ...] = (),
    minimum_bits: int = 0,
    accepts: frozenset[str] = frozenset(),
) -> Algorithm:
    return Algorithm(name, kty, curves, minimum_bits, accepts | {name}, primitive)


_SHA2: Mapping[int, hashes.HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}
_EDDSA = frozenset({"EdDSA"})

_ROWS = (
    *(_row(f"HS{bits}", "oct", primitives.hmac_with(sha2), minimum_bits=bits) for bits, sha2 in _SHA2.items()),
    *(_row(f"RS{bits}", "RSA", primitives.rsa_pkcs1(sha2), minimum_bits=2048) for bits, sha2 in _SHA2.items()),
    *(_row(f"PS{bits}", "RSA", primitives.rsa_pss(sha2), minimum_bits=2048) for bits, sha2 in _SHA2.items()),
    _row("ES256", "EC", primitives.ecdsa(_SHA2[256], 32), curves=("P-256",)),
    _row("ES384", "EC", primitives.ecdsa(_SHA2[384], 48), curves=("P-384",)),
    _row("ES512", "EC", primitives.ecdsa(_SHA2[512], 66), curves=("P-521",)),
    _row("ES256K", "EC", primitives.ecdsa(_SHA2[256], 32), curves=("secp256k1",)),
    # A key's own "alg" decides which name is written; a token may carry either name of its curve.
    _row("Ed25519", "OKP", primitives.eddsa(), curves=("Ed25519",), accepts=_EDDSA),
    _row("Ed448", "OKP", primitives.eddsa(), curves=("Ed448",), accepts=_EDDSA),
    _row("EdDSA", "OKP", primitives.eddsa(), curves=("Ed25519", "Ed448")),
    _row("ML-DSA-44", "AKP", primitives.ml_dsa(), curves=("ML-DSA-44",)),
    _row("ML-DSA-65", "AKP", primitives.ml_dsa(), curves=("ML-DSA-65",)),
    _row("ML-DSA-87", "AKP", primitives.ml_dsa(), curves=("ML-DSA-87",)),
)

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType({row.name: row for row in _ROWS})
ASYMMETRIC = frozenset(row.name for row in _ROWS if not row.symmetric)
SYMMETRIC = frozenset(row.name for row in _ROWS if row.symmetric)
