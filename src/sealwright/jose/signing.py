"""The Signer protocol and sign(): the header is written from the signer (RFC 7515 §5.1)."""

from __future__ import annotations

from typing import Protocol

from sealwright.jose import base64url, header
from sealwright.jose.algorithms import Algorithm
from sealwright.jose.compact import check_compact_text


class Signer(Protocol):
    """Whoever can sign with one key. The key chooses "alg" and "kid"; they are never arguments of sign."""

    @property
    def algorithm(self) -> Algorithm: ...

    @property
    def key_id(self) -> str | None: ...

    def sign(self, signing_input: bytes, /) -> bytes: ...


def sign(payload: bytes, signer: Signer, *, typ: str | None = None, detached: bool = False, b64: bool = True) -> str:
    """A compact JWS over any bytes.

    ``detached`` leaves the payload out (RFC 7515 Appendix F); ``b64`` False signs it as it is (RFC 7797). Raises
    RejectedError ``payload.characters`` for an unencoded payload that cannot stand in a compact JWS.

    >>> from sealwright.jose.jwk import PrivateJWK
    >>> sign(b'{"order":1}', PrivateJWK.generate("Ed25519"), typ="order+jws").count(".")
    2
    """
    protected = header.encode(signer.algorithm.name, signer.key_id, typ, b64)
    if not b64 and not detached:
        check_compact_text(payload)
    signing_input = protected + b"." + (base64url.encode(payload) if b64 else payload)
    signature = base64url.encode(signer.sign(signing_input))
    return ((protected + b"." if detached else signing_input) + b"." + signature).decode("ascii")
