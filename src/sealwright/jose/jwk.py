"""PublicJWK, PrivateJWK and SecretJWK: three types, so that one can never stand in for another (RFC 7517).

A key has exactly one algorithm, and the key chooses "alg" and "kid". Private and secret keys have a redacting
repr, refuse pickling, and leave only through ``export_private_dict`` and ``export_secret_dict``.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from typing import Any, NoReturn, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url
from sealwright.jose.algorithms import ALGORITHMS, Algorithm, algorithm
from sealwright.jose.key_members import check_asymmetric, check_text, check_use, curve_of, row_of, thumbprint
from sealwright.jose.key_types import KEY_TYPES, KeyType, guarded, member_bytes

MAXIMUM_SECRET_BYTES = 1024
_FOR_PUBLIC, _FOR_PRIVATE, _FOR_SECRET = {"verify"}, {"sign"}, {"sign", "verify"}


class PublicJWK:
    """One public key. ``algorithm`` is None only for a foreign key whose members fit several rows."""

    __slots__ = ("_native", "accepts", "algorithm", "key_id", "members")

    def __init__(self, native: Any, members: Mapping[str, Any], row: Algorithm | None) -> None:
        self._native = native
        self.members = dict(members)
        self.key_id: str | None = members.get("kid")
        self.algorithm = row
        self.accepts = _accepted_names(row, members)

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Read a public JWK. Raises RejectedError ``key.*``; private members are refused, not dropped."""
        kind = check_asymmetric(members, _FOR_PUBLIC)
        if any(name in members for name in kind.private):
            raise RejectedError(Reason.KEY_NOT_PUBLIC, "a public key was expected and this one has private members")
        row = row_of(members, kind)
        return cls(guarded(kind.load_public, members), members, row)

    def with_algorithm(self, name: str) -> PublicJWK:
        """The same key bound to one algorithm, for a JWK that came without "alg"."""
        if self.algorithm is not None and self.algorithm.name != name:
            raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "the key is bound to another algorithm")
        row = algorithm(name)
        if not row.fits(self.members["kty"], curve_of(self.members)):
            raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "the algorithm does not fit this kind of key")
        return PublicJWK(self._native, {**self.members, "alg": name}, row)

    def bound_to(self, allowed: Collection[str]) -> PublicJWK:
        """This key with the one row that ``allowed`` leaves. Raises ``algorithm.not_allowed`` or ``key.ambiguous``."""
        if self.algorithm is not None:
            if not self.accepts & set(allowed):
                raise RejectedError(Reason.ALGORITHM_NOT_ALLOWED, "the key's algorithm is not allowed here")
            return self
        rows = [name for name in allowed if ALGORITHMS[name].fits(self.members["kty"], curve_of(self.members))]
        if len(rows) != 1:
            raise RejectedError(
                Reason.KEY_AMBIGUOUS if rows else Reason.ALGORITHM_NOT_ALLOWED,
                'the key has no "alg" and the allowed algorithms do not settle which one it is for',
            )
        return self.with_algorithm(rows[0])

    def to_dict(self) -> dict[str, Any]:
        return dict(self.members)

    def thumbprint(self) -> str:
        """RFC 7638 with SHA-256, base64url."""
        return thumbprint(self.members)

    def verify(self, signature: bytes, signing_input: bytes) -> bool:
        """Whether the signature is this key's. Raises ``key.ambiguous`` while the key has no algorithm."""
        if self.algorithm is None:
            raise RejectedError(Reason.KEY_AMBIGUOUS, 'the key has no "alg": bind it with with_algorithm()')
        return self.algorithm.verify(self._native, signature, signing_input)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicJWK) and self.members == other.members

    def __hash__(self) -> int:
        return hash((self.key_id, self.thumbprint()))

    def __repr__(self) -> str:
        return f"PublicJWK(kty={self.members['kty']!r}, alg={self.members.get('alg')!r}, kid={self.key_id!r})"


class _Unshowable:
    """What private and secret keys share: nothing about them can be printed or pickled by accident."""

    __slots__ = ()
    key_id: str | None
    algorithm: Algorithm

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alg={self.algorithm.name!r}, kid={self.key_id!r}, <redacted>)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} refuses to be pickled or copied")


class PrivateJWK(_Unshowable):
    """One private key; a Signer."""

    __slots__ = ("_native", "algorithm", "key_id", "public")

    def __init__(self, native: Any, public: PublicJWK) -> None:
        if public.algorithm is None:
            raise RejectedError(Reason.KEY_AMBIGUOUS, 'a signing key needs an "alg"')
        self._native = native
        self.public = public
        self.algorithm = public.algorithm
        self.key_id = public.key_id

    @classmethod
    def generate(cls, alg: str, *, key_id: str | None = None) -> Self:
        """A new key for one algorithm; its kid is the RFC 7638 thumbprint unless one is given."""
        row = algorithm(alg)
        if row.symmetric:
            raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "HMAC secrets are SecretJWK.generate()")
        kind = KEY_TYPES[row.kty]
        native = kind.generate(row.curves[0] if row.curves else None)
        return cls(native, _public_of(kind, native, row, key_id, {"use": "sig"}))

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Read a private JWK. The public half is recomputed: a pair that does not match is ``key.malformed``."""
        kind = check_asymmetric(members, _FOR_PRIVATE)
        row = row_of(members, kind)
        if row is None:
            raise RejectedError(Reason.KEY_AMBIGUOUS, 'the key fits several algorithms: add an "alg" member')
        native = guarded(kind.load_private, members)
        computed = kind.public_members(native.public_key())
        if any(members.get(name) != value for name, value in computed.items()):
            raise RejectedError(Reason.KEY_MALFORMED, "the private and the public half do not belong together")
        kept = {name: value for name, value in members.items() if name not in (*kind.private, "key_ops")}
        return cls(native, _public_of(kind, native, row, members.get("kid"), kept))

    def sign(self, signing_input: bytes) -> bytes:
        return self.algorithm.sign(self._native, signing_input)

    def export_private_dict(self) -> dict[str, Any]:
        """The whole key, in the clear. Search for this name when reviewing."""
        return {**self.public.to_dict(), **KEY_TYPES[self.algorithm.kty].private_members(self._native)}


class SecretJWK(_Unshowable):
    """One HMAC secret ("oct"); signs and verifies. It has no public half and never enters a JWKSet."""

    __slots__ = ("_secret", "accepts", "algorithm", "key_id")

    def __init__(self, secret: bytes, row: Algorithm, key_id: str | None) -> None:
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

    @classmethod
    def generate(cls, alg: str, *, key_id: str | None = None) -> Self:
        row = _symmetric(algorithm(alg))
        return cls(secrets.token_bytes(row.minimum_bits // 8), row, key_id or secrets.token_urlsafe(16))

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Read an "oct" JWK with an "alg". Raises RejectedError ``key.*``."""
        check_text(members)
        if members.get("kty") != "oct":
            raise RejectedError(Reason.KEY_UNSUITABLE, 'an HMAC secret is a JWK with kty "oct"')
        check_use(members, _FOR_SECRET)
        row = _symmetric(algorithm(members.get("alg")))
        return cls(member_bytes(members, "k"), row, members.get("kid"))

    def sign(self, signing_input: bytes) -> bytes:
        return self.algorithm.sign(self._secret, signing_input)

    def verify(self, signature: bytes, signing_input: bytes) -> bool:
        return self.algorithm.verify(self._secret, signature, signing_input)

    def export_secret_dict(self) -> dict[str, Any]:
        """The secret, in the clear. Search for this name when reviewing."""
        kid = {} if self.key_id is None else {"kid": self.key_id}
        return {"kty": "oct", "alg": self.algorithm.name, "k": base64url.encode_text(self._secret), **kid}


def _symmetric(row: Algorithm) -> Algorithm:
    if not row.symmetric:
        raise RejectedError(Reason.ALGORITHM_KEY_MISMATCH, "an HMAC secret needs HS256, HS384 or HS512")
    return row


def _public_of(kind: KeyType, native: Any, row: Algorithm, key_id: str | None, kept: Mapping[str, Any]) -> PublicJWK:
    public_native = native.public_key()
    members = {**kept, "kty": kind.kty, **kind.public_members(public_native), "alg": row.name}
    public = PublicJWK(public_native, members, row)
    return PublicJWK(public_native, {**members, "kid": key_id or public.thumbprint()}, row)


def _accepted_names(row: Algorithm | None, members: Mapping[str, Any]) -> frozenset[str]:
    if row is None:
        return frozenset()
    if row.name == "EdDSA":
        return row.accepts | {members["crv"]}
    return row.accepts


def _looks_asymmetric(secret: bytes) -> bool:
    """A second fence behind the types: a PEM, DER, SSH or JWK public key pasted as a secret (CVE-2022-29217)."""
    if b"-----BEGIN" in secret or b'"kty"' in secret or secret.lstrip().startswith((b"ssh-", b"ecdsa-sha2-")):
        return True
    try:
        load_der_public_key(secret)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True
