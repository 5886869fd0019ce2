"""The primitive alone, on inputs prepared for it: what no library in Python can be faster than."""

from __future__ import annotations

import hmac
from functools import partial
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from nacl import bindings as sodium

from benchmarks.measuring import Call
from benchmarks.work import Work, native
from sealwright.jose import compact

_SHA256 = hashes.SHA256()
_PARAMETERS: dict[str, tuple[Any, ...]] = {
    "ES256": (ec.ECDSA(_SHA256),),
    "RS256": (padding.PKCS1v15(), _SHA256),
    "PS256": (padding.PSS(padding.MGF1(_SHA256), _SHA256.digest_size), _SHA256),
}


def verifying(work: Work, token: str) -> Call:
    """A ``partial`` of the C function, so not even one frame of Python is counted."""
    parsed = compact.parse(token)
    signature, data = parsed.signature, parsed.signing_input
    key = native(work.key)
    if work.alg == "HS256":
        return partial(hmac.digest, key, data, "sha256")
    if work.alg == "EdDSA":
        return partial(sodium.crypto_sign_open, signature + data, key.public_key().public_bytes_raw())
    if work.alg == "ES256":
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        signature = utils.encode_dss_signature(r, s)
    return partial(key.public_key().verify, signature, data, *_PARAMETERS[work.alg])


def signing(work: Work, token: str) -> Call:
    data = compact.parse(token).signing_input
    key = native(work.key)
    if work.alg == "HS256":
        return partial(hmac.digest, key, data, "sha256")
    if work.alg == "EdDSA":
        return partial(sodium.crypto_sign, data, key.private_bytes_raw() + key.public_key().public_bytes_raw())
    return partial(key.sign, data, *_PARAMETERS[work.alg])
