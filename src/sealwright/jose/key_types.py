"""One row per "kty": JWK members to native keys and back, with the checks each kind needs.

RSA and EC: RFC 7518 §6. OKP: RFC 8037. AKP (ML-DSA): RFC 9964.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url
from sealwright.jose.weak_keys import is_roca_modulus, is_small_order

MAXIMUM_RSA_BITS = 8192
_EC_CURVES: Mapping[str, type[ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
    "secp256k1": ec.SECP256K1,
}
_EC_NAMES = {kind.name: name for name, kind in _EC_CURVES.items()}
_OKP: Mapping[str, tuple[Any, Any]] = {
    "Ed25519": (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey),
    "Ed448": (ed448.Ed448PublicKey, ed448.Ed448PrivateKey),
}
_AKP: Mapping[str, tuple[Any, Any]] = {
    "ML-DSA-44": (mldsa.MLDSA44PublicKey, mldsa.MLDSA44PrivateKey),
    "ML-DSA-65": (mldsa.MLDSA65PublicKey, mldsa.MLDSA65PrivateKey),
    "ML-DSA-87": (mldsa.MLDSA87PublicKey, mldsa.MLDSA87PrivateKey),
}


@dataclass(frozen=True, slots=True)
class KeyType:
    """How one asymmetric "kty" is read and written. ``thumbprint`` is in RFC 7638 order with "kty" added."""

    kty: str
    curve_member: str | None
    curves: frozenset[str]
    thumbprint: tuple[str, ...]
    private: tuple[str, ...]
    load_public: Callable[[Mapping[str, Any]], Any]
    load_private: Callable[[Mapping[str, Any]], Any]
    public_members: Callable[[Any], dict[str, str]]
    private_members: Callable[[Any], dict[str, str]]
    generate: Callable[[str | None], Any]


def member_bytes(members: Mapping[str, Any], name: str) -> bytes:
    """A base64url member. Raises RejectedError ``key.malformed``."""
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise RejectedError(Reason.KEY_MALFORMED, f'the key has no usable "{name}" member')
    try:
        return base64url.decode_text(value)
    except RejectedError:
        raise RejectedError(Reason.KEY_MALFORMED, f'the key member "{name}" is not canonical base64url') from None


def guarded(load: Callable[[Mapping[str, Any]], Any], members: Mapping[str, Any]) -> Any:
    """Run a loader; whatever the crypto library refuses becomes RejectedError ``key.malformed``."""
    try:
        return load(members)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        raise RejectedError(Reason.KEY_MALFORMED, "the key's numbers do not form a valid key") from None


def _integer(members: Mapping[str, Any], name: str) -> int:
    data = member_bytes(members, name)
    if len(data) * 8 > MAXIMUM_RSA_BITS:
        raise RejectedError(Reason.KEY_UNSUPPORTED, f"RSA keys above {MAXIMUM_RSA_BITS} bits are not accepted")
    return int.from_bytes(data, "big")


def _written(number: int, size: int | None = None) -> str:
    return base64url.encode_text(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def _rsa_public(members: Mapping[str, Any]) -> Any:
    n, e = _integer(members, "n"), _integer(members, "e")
    if n.bit_length() < 2048 or e < 3 or e % 2 == 0 or e.bit_length() > 32:
        raise RejectedError(Reason.KEY_TOO_WEAK, "RSA keys need at least 2048 bits and an odd exponent from 3")
    if is_roca_modulus(n):
        raise RejectedError(Reason.KEY_TOO_WEAK, "the RSA modulus has the ROCA fingerprint (CVE-2017-15361)")
    return rsa.RSAPublicNumbers(e, n).public_key()


def _rsa_private(members: Mapping[str, Any]) -> Any:
    if "oth" in members:
        raise RejectedError(Reason.KEY_UNSUPPORTED, "RSA keys with more than two primes are not accepted")
    public = _rsa_public(members).public_numbers()
    d, p, q, dp, dq, qi = (_integer(members, name) for name in ("d", "p", "q", "dp", "dq", "qi"))
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()


def _rsa_public_members(key: Any) -> dict[str, str]:
    numbers = key.public_numbers()
    return {"n": _written(numbers.n), "e": _written(numbers.e)}


def _rsa_private_members(key: Any) -> dict[str, str]:
    numbers = key.private_numbers()
    named = {"d": numbers.d, "p": numbers.p, "q": numbers.q}
    named |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    return {name: _written(number) for name, number in named.items()}


def _ec_numbers(members: Mapping[str, Any]) -> ec.EllipticCurvePublicNumbers:
    curve = _EC_CURVES[members["crv"]]()
    x, y = member_bytes(members, "x"), member_bytes(members, "y")
    size = (curve.key_size + 7) // 8
    if len(x) != size or len(y) != size:  # RFC 7518 §6.2.1.2: full length, zeros kept
        raise RejectedError(Reason.KEY_MALFORMED, "an EC coordinate has the wrong length")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve)


def _ec_private(members: Mapping[str, Any]) -> Any:
    public = _ec_numbers(members)
    d = member_bytes(members, "d")
    if len(d) != (public.curve.key_size + 7) // 8:
        raise RejectedError(Reason.KEY_MALFORMED, 'the EC member "d" has the wrong length')
    return ec.EllipticCurvePrivateNumbers(int.from_bytes(d, "big"), public).private_key()


def _ec_public_members(key: Any) -> dict[str, str]:
    numbers, size = key.public_numbers(), (key.curve.key_size + 7) // 8
    return {"crv": _EC_NAMES[key.curve.name], "x": _written(numbers.x, size), "y": _written(numbers.y, size)}


def _ec_private_members(key: Any) -> dict[str, str]:
    return {"d": _written(key.private_numbers().private_value, (key.curve.key_size + 7) // 8)}


def _okp_public(members: Mapping[str, Any]) -> Any:
    raw = member_bytes(members, "x")
    key = _OKP[members["crv"]][0].from_public_bytes(raw)
    if is_small_order(members["crv"], raw):
        raise RejectedError(Reason.KEY_TOO_WEAK, "the public key is a small-order point: one signature fits all")
    return key


def _okp_private(members: Mapping[str, Any]) -> Any:
    return _OKP[members["crv"]][1].from_private_bytes(member_bytes(members, "d"))


def _okp_public_members(key: Any) -> dict[str, str]:
    curve = next(name for name, (public, _) in _OKP.items() if isinstance(key, public))
    return {"crv": curve, "x": base64url.encode_text(key.public_bytes_raw())}


def _akp_public(members: Mapping[str, Any]) -> Any:
    return _AKP[members["alg"]][0].from_public_bytes(member_bytes(members, "pub"))


def _akp_private(members: Mapping[str, Any]) -> Any:
    return _AKP[members["alg"]][1].from_seed_bytes(member_bytes(members, "priv"))


def _akp_public_members(key: Any) -> dict[str, str]:
    name = next(name for name, (public, _) in _AKP.items() if isinstance(key, public))
    return {"alg": name, "pub": base64url.encode_text(key.public_bytes_raw())}


def _raw_private(member: str) -> Callable[[Any], dict[str, str]]:
    return lambda key: {member: base64url.encode_text(key.private_bytes_raw())}


_ROWS = (
    KeyType(
        "RSA", None, frozenset(), ("e", "n"), ("d", "p", "q", "dp", "dq", "qi", "oth"),
        _rsa_public, _rsa_private, _rsa_public_members, _rsa_private_members,
        lambda _: rsa.generate_private_key(65537, 2048),
    ),
    KeyType(
        "EC", "crv", frozenset(_EC_CURVES), ("crv", "x", "y"), ("d",),
        lambda members: _ec_numbers(members).public_key(), _ec_private, _ec_public_members, _ec_private_members,
        lambda curve: ec.generate_private_key(_EC_CURVES[str(curve)]()),
    ),
    KeyType(
        "OKP", "crv", frozenset(_OKP), ("crv", "x"), ("d",),
        _okp_public, _okp_private, _okp_public_members, _raw_private("d"),
        lambda curve: _OKP[str(curve)][1].generate(),
    ),
    KeyType(
        "AKP", "alg", frozenset(_AKP), ("alg", "pub"), ("priv",),
        _akp_public, _akp_private, _akp_public_members, _raw_private("priv"),
        lambda curve: _AKP[str(curve)][1].generate(),
    ),
)  # fmt: skip

KEY_TYPES: Mapping[str, KeyType] = MappingProxyType({row.kty: row for row in _ROWS})
# Of any kind of key: a name that is private for one is never public in another, whatever it may hold there.
PRIVATE_MEMBERS = frozenset({"k"}).union(*(row.private for row in _ROWS))


def kind_of(native: Any) -> KeyType:
    """The row of a native public key. Raises RejectedError ``key.unsupported``."""
    if isinstance(native, rsa.RSAPublicKey):
        return KEY_TYPES["RSA"]
    if isinstance(native, ec.EllipticCurvePublicKey) and isinstance(native.curve, tuple(_EC_CURVES.values())):
        return KEY_TYPES["EC"]
    for kty, natives in (("OKP", _OKP), ("AKP", _AKP)):
        if isinstance(native, tuple(public for public, _ in natives.values())):
            return KEY_TYPES[kty]
    raise RejectedError(Reason.KEY_UNSUPPORTED, "the key is of a kind or on a curve that this package does not know")
