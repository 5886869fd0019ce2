"""PublicJWK and PrivateJWK: two types, so that one can never stand in for the other (RFC 7517).

A key has exactly one algorithm, and the key chooses "alg" and "kid".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NoReturn, Self

from sealwright.errors import Reason, RejectedError
from sealwright.jose.algorithms import ALGORITHMS, Algorithm, algorithm
from sealwright.jose.key_members import (
    PUBLISHED,
    check_asymmetric,
    check_usable,
    curve_of,
    limits_of,
    row_of,
    thumbprint,
)
from sealwright.jose.key_types import KEY_TYPES, PRIVATE_MEMBERS, KeyType, guarded
from sealwright.jose.primitives import Hasher, Sign, Verify
from sealwright.jose.unshowable import Unshowable

_FOR_PUBLIC, _FOR_PRIVATE = {"verify"}, {"sign"}


class PublicJWK:
    """One public key. ``algorithm`` is None only for a foreign key whose members fit several rows."""

    __slots__ = ("_native", "accepts", "algorithm", "has_limits", "key_id", "members", "verify")

    verify: Verify  # (signature, signing input) -> whether it is this key's; raises key.ambiguous without an algorithm

    def __init__(self, native: Any, members: Mapping[str, Any], row: Algorithm | None) -> None:
        self._native = native
        self.members = dict(members)
        self.key_id: str | None = members.get("kid")
        self.algorithm = row
        self.accepts = _accepted_names(row, members)
        self.verify = row.primitive.verifying(native) if row is not None else _refuse_unbound
        self.has_limits = bool(limits_of(members))

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Read a public JWK. Raises RejectedError ``key.*``; private members are refused, not dropped."""
        kind = check_asymmetric(members, _FOR_PUBLIC)
        if not PRIVATE_MEMBERS.isdisjoint(members):
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
            if self.accepts.isdisjoint(allowed):
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

    def thumbprint_uri(self) -> str:
        """The thumbprint as RFC 9278 writes it."""
        return "urn:ietf:params:oauth:jwk-thumbprint:sha-256:" + self.thumbprint()

    def check_usable(self, now: float) -> None:
        """Raises RejectedError ``key.revoked``, ``key.expired`` or ``key.not_yet_valid`` by the key's own members."""
        check_usable(self.members, now)

    def hasher(self) -> Hasher | None:
        """A hasher for content that this key verifies piece by piece; None where the bytes are needed twice."""
        streaming = self._bound().primitive.streaming
        return None if streaming is None else streaming.hasher(self._native)

    def verify_digest(self, signature: bytes, digest: bytes) -> bool:
        """Whether the signature is this key's over what ``hasher`` has hashed."""
        streaming = self._bound().primitive.streaming
        return streaming is not None and streaming.verifying(self._native)(signature, digest)

    def _bound(self) -> Algorithm:
        return self.algorithm if self.algorithm is not None else _refuse_unbound()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicJWK) and self.members == other.members

    def __hash__(self) -> int:
        return hash((self.key_id, self.thumbprint()))

    def __repr__(self) -> str:
        return f"PublicJWK(kty={self.members['kty']!r}, alg={self.members.get('alg')!r}, kid={self.key_id!r})"


class PrivateJWK(Unshowable):
    """One private key; a Signer."""

    __slots__ = ("_native", "algorithm", "key_id", "public", "sign")

    algorithm: Algorithm
    sign: Sign  # signing input -> signature

    def __init__(self, native: Any, public: PublicJWK) -> None:
        if public.algorithm is None:
            raise RejectedError(Reason.KEY_AMBIGUOUS, 'a signing key needs an "alg"')
        self._native = native
        self.public = public
        self.algorithm = public.algorithm
        self.key_id = public.key_id
        self.sign = public.algorithm.primitive.signing(native)

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
        kept = {name: value for name, value in members.items() if name in PUBLISHED}
        return cls(native, _public_of(kind, native, row, members.get("kid"), kept))

    def hasher(self) -> Hasher | None:
        """A hasher for content that this key signs piece by piece; None where the bytes are needed twice."""
        return self.public.hasher()

    def sign_digest(self, digest: bytes) -> bytes:
        """The signature over what ``hasher`` has hashed."""
        streaming = self.algorithm.primitive.streaming
        assert streaming is not None, "this algorithm has no digest: hasher() was None"
        return streaming.signing(self._native)(digest)

    def export_private_dict(self) -> dict[str, Any]:
        """The whole key, in the clear. Search for this name when reviewing."""
        return {**self.public.to_dict(), **KEY_TYPES[self.algorithm.kty].private_members(self._native)}


def _public_of(kind: KeyType, native: Any, row: Algorithm, key_id: str | None, kept: Mapping[str, Any]) -> PublicJWK:
    public_native = native.public_key()
    members = {**kept, "kty": kind.kty, **kind.public_members(public_native), "alg": row.name}
    public = PublicJWK(public_native, members, row)
    return PublicJWK(public_native, {**members, "kid": key_id or public.thumbprint()}, row)


def _refuse_unbound(*_: bytes) -> NoReturn:
    raise RejectedError(Reason.KEY_AMBIGUOUS, 'the key has no "alg": bind it with with_algorithm()')


def _accepted_names(row: Algorithm | None, members: Mapping[str, Any]) -> frozenset[str]:
    if row is None:
        return frozenset()
    if row.name == "EdDSA":
        return row.accepts | {members["crv"]}
    return row.accepts
