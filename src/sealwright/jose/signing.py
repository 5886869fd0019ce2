"""The Signer protocol and sign(): the header is written from the signer (RFC 7515 §5.1)."""

from __future__ import annotations

from typing import Protocol

from sealwright.jose import base64url, header
from sealwright.jose.algorithms import Algorithm


class Signer(Protocol):
    """Whoever can sign with one key. The key chooses "alg" and "kid"; they are never arguments of sign."""

    @property
    def algorithm(self) -> Algorithm: ...

    @property
    def key_id(self) -> str | None: ...

    def sign(self, signing_input: bytes) -> bytes: ...


def sign(payload: bytes, signer: Signer, *, typ: str | None = None) -> str:
    """A compact JWS over any bytes.

    >>> from sealwright.jose.jwk import PrivateJWK
    >>> sign(b'{"order":1}', PrivateJWK.generate("Ed25519"), typ="order+jws").count(".")
    2
    """
    protected = header.encode(signer.algorithm.name, key_id=signer.key_id, typ=typ)
    signing_input = protected + b"." + base64url.encode(payload)
    signature = signer.sign(signing_input)
    return (signing_input + b"." + base64url.encode(signature)).decode("ascii")
