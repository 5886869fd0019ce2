"""DPoP proofs, for clients: a JWT for one request, signed by the key that the token is bound to (RFC 9449 §4.2)."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.jose import base64url, strict_json
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.key_types import KEY_TYPES
from sealwright.profiles.claims_token import new_token_id

TYP = "dpop+jwt"


def sign_proof(
    key: PrivateJWK,
    method: str,
    url: str,
    *,
    token: str | None = None,
    nonce: str | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> str:
    """The value of the DPoP header for one request; each request needs a proof of its own.

    ``token`` is the access token that the request presents, and ``nonce`` the last DPoP-Nonce of that server.

    >>> key = PrivateJWK.generate("ES256")
    >>> sign_proof(key, "GET", "https://orders.example/1?page=2", token="a.b.c").count(".")
    2
    """
    claims: dict[str, Any] = {
        "jti": new_token_id(),
        "htm": method,
        "htu": url.partition("#")[0].partition("?")[0],
        "iat": math.floor(clock.now()),
    }
    if token is not None:
        claims["ath"] = base64url.encode_text(hashlib.sha256(token.encode("ascii")).digest())
    if nonce is not None:
        claims["nonce"] = nonce
    header = {"typ": TYP, "alg": key.algorithm.name, "jwk": _shown(key)}
    signing_input = b".".join(base64url.encode(strict_json.encode_object(part)) for part in (header, claims))
    return (signing_input + b"." + base64url.encode(key.sign(signing_input))).decode("ascii")


def _shown(key: PrivateJWK) -> dict[str, Any]:
    """The public key and nothing about it."""
    members = key.public.members
    return {name: members[name] for name in ("kty", *KEY_TYPES[members["kty"]].thumbprint)}
