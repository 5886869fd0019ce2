"""EncryptionJWK, DecryptionJWK, SharedEncryptionJWK: keys that never sign, as signing keys never encrypt (RFC 7518 §4).

A key has exactly one algorithm and chooses the token's "alg" and "kid". The tables are the whole policy:
RSA1_5, RSA-OAEP with SHA-1, passwords (PBES2) and compression have no row.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url
from sealwright.jose.algorithms import ALGORITHMS
from sealwright.jose.key_members import PUBLISHED, check_text, thumbprint
from sealwright.jose.key_types import KEY_TYPES, PRIVATE_MEMBERS, guarded, member_bytes
from sealwright.jose.unshowable import Unshowable


@dataclass(frozen=True, slots=True)
class ContentAlgorithm:
    """One "enc": the bytes of its key, of its initialization vector and of its tag (RFC 7518 §5)."""

    key_bytes: int
    iv_bytes: int
    tag_bytes: int


CONTENT_ALGORITHMS: Mapping[str, ContentAlgorithm] = MappingProxyType(
    {
        "A128GCM": ContentAlgorithm(16, 12, 16),
        "A256GCM": ContentAlgorithm(32, 12, 16),
        "A128CBC-HS256": ContentAlgorithm(32, 16, 16),
        "A256CBC-HS512": ContentAlgorithm(64, 16, 32),
    }
)
# "alg" -> the "kty" of its keys
KEY_ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {
        "RSA-OAEP-256": "RSA",
        "ECDH-ES": "EC",
        "ECDH-ES+A128KW": "EC",
        "ECDH-ES+A256KW": "EC",
        "A256KW": "oct",
        "dir": "oct",
    }
)
CURVES = frozenset(["P-256", "P-384", "P-521"])
_OPERATIONS = frozenset(["encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"])


class EncryptionJWK:
    """The public key of a recipient."""

    __slots__ = ("_native", "algorithm", "key_id", "members")

    def __init__(self, native: Any, members: Mapping[str, Any]) -> None:
        self._native = native
        self.members = {**members, "use": "enc"}
        self.algorithm: str = members["alg"]
        self.key_id: str | None = members.get("kid")

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Read a public JWK. Raises RejectedError ``key.*``; a key that may sign is ``key.unsuitable``."""
        kind = KEY_TYPES[_check(members, secret=False)]
        if not PRIVATE_MEMBERS.isdisjoint(members):
            raise RejectedError(Reason.KEY_NOT_PUBLIC, "a public key was expected and this one has private members")
        return cls(guarded(kind.load_public, members), members)

    def to_dict(self) -> dict[str, Any]:
        return dict(self.members)

    def check_content(self, enc: str) -> None:
        """Every content algorithm goes with a public key."""

    def __repr__(self) -> str:
        return f"EncryptionJWK(alg={self.algorithm!r}, kid={self.key_id!r})"


class DecryptionJWK(Unshowable):
    """The private key of a recipient; ``public`` is what senders need."""

    __slots__ = ("_native", "algorithm", "key_id", "public")

    def __init__(self, native: Any, members: Mapping[str, Any]) -> None:
        kind = KEY_TYPES[KEY_ALGORITHMS[members["alg"]]]
        native_public = native.public_key()
        whole = {**members, "kty": kind.kty, **kind.public_members(native_public)}
        self._native = native
        self.public = EncryptionJWK(native_public, {**whole, "kid": members.get("kid") or thumbprint(whole)})
        self.algorithm = self.public.algorithm
        self.key_id = self.public.key_id

    @classmethod
    def generate(cls, alg: str, *, key_id: str | None = None) -> Self:
        """A new RSA key of 2048 bits or a new key on P-256; its kid is the RFC 7638 thumbprint unless one is given."""
        kty = _kty_of(alg)
        if kty == "oct":
            raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "shared secrets are SharedEncryptionJWK.generate()")
        return cls(KEY_TYPES[kty].generate("P-256"), {"alg": alg, "kid": key_id})

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Read a private JWK. Raises RejectedError ``key.*``; halves that do not match are ``key.malformed``."""
        kind = KEY_TYPES[_check(members, secret=False)]
        native = guarded(kind.load_private, members)
        return cls(native, {name: value for name, value in members.items() if name in PUBLISHED})

    def check_content(self, enc: str) -> None:
        """Every content algorithm goes with a private key."""

    def export_private_dict(self) -> dict[str, Any]:
        """The whole key, in the clear. Search for this name when reviewing."""
        return {**self.public.to_dict(), **KEY_TYPES[self.public.members["kty"]].private_members(self._native)}


class SharedEncryptionJWK(Unshowable):
    """One secret ("oct") that sender and recipient share: it encrypts and decrypts, and has no public half.

    With "alg" A256KW it wraps a fresh key for each token. With "dir", or with the name of one content algorithm as
    in RFC 7520 §5.6, it encrypts the tokens itself.
    """

    __slots__ = ("_native", "algorithm", "bound_to", "key_id")

    def __init__(self, secret: bytes, alg: str, key_id: str | None) -> None:
        self._native = secret
        self.bound_to = alg if alg in CONTENT_ALGORITHMS else None
        self.algorithm = "dir" if self.bound_to else alg
        self.key_id = key_id
        if len(secret) not in _sizes(alg):
            raise RejectedError(Reason.KEY_MALFORMED, "the secret does not have the length of its algorithm")

    @classmethod
    def generate(cls, alg: str, *, key_id: str | None = None) -> Self:
        """A new secret for A256KW, or for one content algorithm that it will be used with directly."""
        if _kty_of(alg) != "oct":
            raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "the algorithm is not one of shared secrets")
        if alg == "dir":
            raise RejectedError(Reason.KEY_AMBIGUOUS, "name the content algorithm that the secret is for")
        (size,) = _sizes(alg)
        return cls(secrets.token_bytes(size), alg, key_id or secrets.token_urlsafe(16))

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Read an "oct" JWK with an "alg". Raises RejectedError ``key.*``."""
        _check(members, secret=True)
        return cls(member_bytes(members, "k"), members["alg"], members.get("kid"))

    def check_content(self, enc: str) -> None:
        """A secret that encrypts directly must be made for "enc". Raises ``algorithm.key_mismatch``."""
        if self.algorithm != "dir":
            return
        if enc != (self.bound_to or enc) or CONTENT_ALGORITHMS[enc].key_bytes != len(self._native):
            raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "the secret is for another content algorithm")

    def export_secret_dict(self) -> dict[str, Any]:
        """The secret, in the clear. Search for this name when reviewing."""
        kid = {} if self.key_id is None else {"kid": self.key_id}
        alg = self.bound_to or self.algorithm
        return {"kty": "oct", "use": "enc", "alg": alg, "k": base64url.encode_text(self._native), **kid}


EncryptionKey = EncryptionJWK | SharedEncryptionJWK
DecryptionKey = DecryptionJWK | SharedEncryptionJWK


def find(key_id: str | None, keys: DecryptionKey | Iterable[DecryptionKey]) -> DecryptionKey:
    """The one key of this kid; no other is ever tried. Raises ``key.id_missing``, ``key.not_found``, ``key.ambiguous``.

    A token without kid is matched only where there is exactly one key: there is nothing to guess then.
    """
    listed = tuple(keys) if isinstance(keys, Iterable) else (keys,)
    if not all(isinstance(key, DecryptionKey) for key in listed):
        raise RejectedError(Reason.KEY_UNSUITABLE, "this key is not for decryption")
    if key_id is None:
        if len(listed) == 1:
            return listed[0]
        raise RejectedError(Reason.KEY_ID_MISSING, "the token names no key and there are several to choose from")
    found = [key for key in listed if key.key_id == key_id]
    if not found:
        raise RejectedError(Reason.KEY_NOT_FOUND, "no key with the token's kid is known")
    if len(found) > 1:
        raise RejectedError(Reason.KEY_AMBIGUOUS, "several keys share the token's kid")
    return found[0]


def _check(members: Mapping[str, Any], *, secret: bool) -> str:
    """The "kty" of a key whose "use", "key_ops" and "alg" are for encryption (RFC 7517 §4)."""
    check_text(members)
    kty = members.get("kty")
    if (kty == "oct") is not secret:
        raise RejectedError(Reason.KEY_NOT_PUBLIC if kty == "oct" else Reason.KEY_UNSUITABLE, "the wrong kind of key")
    listed = members.get("key_ops", [])
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise RejectedError(Reason.KEY_MALFORMED, 'the key member "key_ops" is not a list of texts')
    if members.get("use", "enc") != "enc" or not set(listed) <= _OPERATIONS:
        raise RejectedError(Reason.KEY_UNSUITABLE, 'the key\'s "use" or "key_ops" is not encryption')
    if "alg" not in members:
        raise RejectedError(Reason.KEY_AMBIGUOUS, 'an encryption key needs an "alg"')
    if _kty_of(members["alg"]) != kty:
        raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, 'the key\'s "alg" does not fit its type')
    if kty == "EC" and members.get("crv") not in CURVES:
        raise RejectedError(Reason.KEY_UNSUPPORTED, "the curve is not one that encryption is done with here")
    return str(kty)


def _kty_of(alg: str) -> str:
    if alg in ALGORITHMS:
        raise RejectedError(Reason.KEY_UNSUITABLE, "a signing key does not encrypt")
    if alg not in KEY_ALGORITHMS and alg not in CONTENT_ALGORITHMS:
        raise RejectedError(Reason.ALGORITHM_UNKNOWN, "the algorithm is not one that this package knows")
    return KEY_ALGORITHMS.get(alg, "oct")


def _sizes(alg: str) -> set[int]:
    if alg in CONTENT_ALGORITHMS:
        return {CONTENT_ALGORITHMS[alg].key_bytes}
    return {32} if alg == "A256KW" else {content.key_bytes for content in CONTENT_ALGORITHMS.values()}
