"""Tokens put together by hand: correctly signed unless the attack says otherwise, so that nothing else is refused."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

import sealwright as sw
from sealwright.jose import base64url

ISSUER = "https://id.example"
AUDIENCE = "orders"
NOW = 1_700_000_000  # where a ManualClock starts
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u", "exp": NOW + 9999}
SECRET_BYTES = bytes(range(32))

Sign = Callable[[bytes], bytes]


def mac(data: bytes) -> bytes:
    return hmac.digest(SECRET_BYTES, data, "sha256")


def secret(**members: Any) -> sw.SecretJWK:
    return sw.SecretJWK.from_dict(
        {"kty": "oct", "alg": "HS256", "k": base64url.encode_text(SECRET_BYTES), "kid": "k1", **members}
    )


def forge(header: Any, *, sign: Sign = mac, payload: bytes | None = None) -> str:
    """``header`` is members or raw bytes; ``payload`` is the usual claims unless it is given."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return joined(base64url.encode(head), base64url.encode(usual(payload)), sign)


def joined(head: bytes, body: bytes, sign: Sign = mac) -> str:
    """A token over two segments that are taken as they are."""
    signing_input = head + b"." + body
    return (signing_input + b"." + base64url.encode(sign(signing_input))).decode()


def with_signature(token: str, signature: bytes) -> str:
    return token.rpartition(".")[0] + "." + base64url.encode_text(signature)


def usual(payload: bytes | None) -> bytes:
    return json.dumps(CLAIMS).encode() if payload is None else payload


def without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}
