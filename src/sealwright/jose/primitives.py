"""How each family signs and verifies: a key is prepared once, and then used many times.

Signatures are in their JWS form: ECDSA as r||s (RFC 7518 §3.4), everything else as the primitive has them.
"""

from __future__ import annotations

import hmac as comparing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, utils
from nacl import bindings as sodium
from nacl.exceptions import CryptoError

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]  # (signature, signing input)
_ED25519_SIGNATURE_BYTES = 64


class Hasher(Protocol):
    """Takes content piece by piece."""

    def update(self, data: bytes, /) -> None: ...

    def finalize(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Streaming:
    """Signing what does not fit into memory: the content is hashed on the way, then the digest is signed.

    ``hasher`` is made for the verifying key, ``sign`` and ``verify`` are prepared for theirs and work on digests.
    """

    hasher: Callable[[Any], Hasher]
    signing: Callable[[Any], Sign]
    verifying: Callable[[Any], Verify]


@dataclass(frozen=True, slots=True)
class Primitive:
    """``signing(native private key)`` and ``verifying(native public key)`` prepare a key.

    ``streaming`` is None where the bytes are needed twice (Ed25519, Ed448).
    """

    signing: Callable[[Any], Sign]
    verifying: Callable[[Any], Verify]
    streaming: Streaming | None = None


def hmac_with(digest: hashes.HashAlgorithm) -> Primitive:
    def signing(secret: bytes) -> Sign:
        keyed = hmac.HMAC(secret, digest)  # copying a keyed state is cheaper than keying a new one

        def sign(data: bytes) -> bytes:
            state = keyed.copy()
            state.update(data)
            return state.finalize()

        return sign

    def verifying(secret: bytes) -> Verify:
        keyed, equal = hmac.HMAC(secret, digest), comparing.compare_digest

        def verify(signature: bytes, data: bytes) -> bool:  # not by way of sign: a call is a tenth of a MAC
            state = keyed.copy()
            state.update(data)
            return equal(state.finalize(), signature)

        return verify

    streaming = Streaming(
        hasher=lambda secret: hmac.HMAC(secret, digest),
        signing=lambda _: bytes,
        verifying=lambda _: comparing.compare_digest,
    )
    return Primitive(signing, verifying, streaming)


def rsa_pkcs1(digest: hashes.HashAlgorithm) -> Primitive:
    return _hashed(digest, lambda hashed: (padding.PKCS1v15(), hashed))


def rsa_pss(digest: hashes.HashAlgorithm) -> Primitive:
    # RFC 7518 §3.5: the salt is as long as the hash, and MGF1 uses the same hash.
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)
    return _hashed(digest, lambda hashed: (scheme, hashed))


def ecdsa(digest: hashes.HashAlgorithm, size: int) -> Primitive:
    """``size`` is the length of r and of s in bytes."""
    der = _hashed(digest, lambda hashed: (ec.ECDSA(hashed),))
    assert der.streaming is not None

    def signing(prepare: Callable[[Any], Sign]) -> Callable[[Any], Sign]:
        return lambda key: _raw_signing(prepare(key), size)

    def verifying(prepare: Callable[[Any], Verify]) -> Callable[[Any], Verify]:
        return lambda key: _raw_verifying(prepare(key), size)

    streaming = Streaming(der.streaming.hasher, signing(der.streaming.signing), verifying(der.streaming.verifying))
    return Primitive(signing(der.signing), verifying(der.verifying), streaming)


def eddsa() -> Primitive:
    """Ed25519 by libsodium, faster than OpenSSL here and strict about small orders and encodings; Ed448 by OpenSSL."""

    def signing(key: Any) -> Sign:
        return _sodium_signing(key) if isinstance(key, ed25519.Ed25519PrivateKey) else _signing("sign")(key)

    def verifying(key: Any) -> Verify:
        return _sodium_verifying(key) if isinstance(key, ed25519.Ed25519PublicKey) else _verifying("verify")(key)

    return Primitive(signing, verifying)


def ml_dsa() -> Primitive:
    """RFC 9964: the context is empty; the digest is FIPS 204's mu, which depends on the public key."""
    streaming = Streaming(mldsa.MLDSAMuHasher, _signing("sign_mu"), _verifying("verify_mu"))
    return Primitive(_signing("sign"), _verifying("verify"), streaming)


def _hashed(digest: hashes.HashAlgorithm, parameters: Callable[[Any], tuple[Any, ...]]) -> Primitive:
    """RSA and ECDSA, whose parameters name the hash, or say that it was taken already."""
    whole, taken = parameters(digest), parameters(utils.Prehashed(digest))
    streaming = Streaming(lambda _: hashes.Hash(digest), _signing("sign", *taken), _verifying("verify", *taken))
    return Primitive(_signing("sign", *whole), _verifying("verify", *whole), streaming)


def _signing(method: str, *parameters: Any) -> Callable[[Any], Sign]:
    def prepare(key: Any) -> Sign:
        call = getattr(key, method)

        def sign(data: bytes) -> bytes:
            signature: bytes = call(data, *parameters)
            return signature

        return sign

    return prepare


def _verifying(method: str, *parameters: Any) -> Callable[[Any], Verify]:
    def prepare(key: Any) -> Verify:
        call = getattr(key, method)

        def verify(signature: bytes, data: bytes) -> bool:
            try:
                call(signature, data, *parameters)
            except (InvalidSignature, UnsupportedAlgorithm):
                return False
            return True

        return verify

    return prepare


def _sodium_signing(key: ed25519.Ed25519PrivateKey) -> Sign:
    secret = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return lambda data: sodium.crypto_sign(data, secret)[:_ED25519_SIGNATURE_BYTES]


def _sodium_verifying(key: ed25519.Ed25519PublicKey) -> Verify:
    public = key.public_bytes_raw()

    def verify(signature: bytes, data: bytes) -> bool:
        if len(signature) != _ED25519_SIGNATURE_BYTES:
            return False
        try:
            sodium.crypto_sign_open(signature + data, public)
        except CryptoError:
            return False
        return True

    return verify


def _raw_signing(sign_der: Sign, size: int) -> Sign:
    def sign(data: bytes) -> bytes:
        der = sign_der(data)  # SEQUENCE { INTEGER r, INTEGER s }, written by the library: its tags need no checking
        start = 2 if der[1] < 0x80 else 3
        middle = start + 2 + der[start + 1]
        r, s = der[start + 2 : middle], der[middle + 2 :]  # the sign byte that DER may add is cut off below
        return r[-size:].rjust(size, b"\0") + s[-size:].rjust(size, b"\0")

    return sign


def _raw_verifying(verify_der: Verify, size: int) -> Verify:
    def verify(signature: bytes, data: bytes) -> bool:
        if len(signature) != 2 * size:
            return False
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        return r > 0 and s > 0 and verify_der(utils.encode_dss_signature(r, s), data)

    return verify
