"""Keys in PEM, DER and OpenSSH form, and certificates as a source of public keys (RFC 5958, RFC 7468, RFC 8017).

Every key passes through its JWK members, so the checks of ``PublicJWK.from_dict`` hold for each of these forms.
"""

from __future__ import annotations

from typing import Any, Literal

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from sealwright.errors import Reason, RejectedError
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.jose.key_members import row_of
from sealwright.jose.key_text import load_private, load_public
from sealwright.jose.key_types import KEY_TYPES, KeyType, kind_of

_FORMS = {
    "pem": (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "der": (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "openssh": (Encoding.OpenSSH, PublicFormat.OpenSSH),
}


def read_public(data: bytes, *, alg: str | None = None, key_id: str | None = None) -> PublicJWK:
    """A public key from SPKI, PKCS#1, an OpenSSH line or a certificate, whose own validity is not looked at.

    The kid is the RFC 7638 thumbprint unless one is given. Raises RejectedError ``key.*``, or ``algorithm.*`` for an
    ``alg`` that does not fit. Without ``alg``, a key that fits several has none: see ``PublicJWK.with_algorithm``.
    """
    return public_from(load_public(data), alg=alg, key_id=key_id)


def public_from(native: Any, *, alg: str | None = None, key_id: str | None = None) -> PublicJWK:
    """What ``read_public`` does with a key that has been loaded."""
    kind = kind_of(native)
    members = _members(kind, native, alg)
    row = row_of(members, kind)
    if row is not None:
        members["alg"] = row.name
    return PublicJWK.from_dict({**members, "kid": key_id or PublicJWK.from_dict(members).thumbprint()})


def read_private(
    data: bytes, *, alg: str | None, key_id: str | None = None, password: bytes | None = None
) -> PrivateJWK:
    """A private key from PKCS#8 (in the clear or encrypted), SEC1 or PKCS#1.

    Raises as ``read_public``, and RejectedError ``key.password``, or ``key.ambiguous`` where ``alg`` is needed: RSA.
    """
    native = load_private(data, password)
    kind = kind_of(native.public_key())
    members = {**_members(kind, native.public_key(), alg), **kind.private_members(native)}
    return PrivateJWK.from_dict(members if key_id is None else {**members, "kid": key_id})


def write_public(key: PublicJWK, *, form: Literal["pem", "der", "openssh"] = "pem") -> bytes:
    """SPKI as PEM or DER, or an OpenSSH line. Raises RejectedError ``key.unsupported`` for what OpenSSH lacks."""
    native = KEY_TYPES[key.members["kty"]].load_public(key.members)
    try:
        written: bytes = native.public_bytes(*_FORMS[form])
    except (KeyError, ValueError):
        raise RejectedError(Reason.KEY_UNSUPPORTED, f'this kind of key has no "{form}" form') from None
    return written


def export_private_pem(key: PrivateJWK, *, password: bytes | None) -> bytes:
    """The whole key as PKCS#8, in the clear when ``password`` is None. Search for this name when reviewing.

    The encryption is PBES2 with AES-256 and OpenSSL's 2048 rounds: choose a long random password, not a short one.
    Raises RejectedError ``key.password`` for one that is empty or too long.
    """
    native = KEY_TYPES[key.algorithm.kty].load_private(key.export_private_dict())
    try:
        sealing: KeySerializationEncryption = NoEncryption() if password is None else BestAvailableEncryption(password)
        written: bytes = native.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing)
    except ValueError:
        raise RejectedError(Reason.KEY_PASSWORD, "a password has from 1 to 1023 bytes") from None
    return written


def _members(kind: KeyType, native: Any, alg: str | None) -> dict[str, Any]:
    members: dict[str, Any] = {"kty": kind.kty, "use": "sig", **kind.public_members(native)}
    if alg is None:
        return members
    if members.get("alg", alg) != alg:  # an ML-DSA key has its one "alg" among its own members
        raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "the algorithm does not fit this kind of key")
    return {**members, "alg": alg}
