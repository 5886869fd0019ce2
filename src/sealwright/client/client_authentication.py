"""Who a client is at a token endpoint, proven by its secret (RFC 6749 §2.3.1) or by a signed JWT (RFC 7523 §2.2)."""

from __future__ import annotations

import base64
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from urllib.parse import quote_plus

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.jose import strict_json
from sealwright.jose.signing import Signer, sign

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME_S = 60


class Proof(NamedTuple):
    """What a request to the token endpoint says of its client."""

    headers: Mapping[str, str]
    form: Mapping[str, str]

    def __repr__(self) -> str:
        return "Proof(<secret>)"


class ClientAuthentication(Protocol):
    """``audience`` names the server: its issuer where that is known, else the URL of its token endpoint."""

    def prove(self, audience: str) -> Proof: ...


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """``client_secret_basic``."""

    client_id: str
    secret: str = field(repr=False)

    def prove(self, _: str) -> Proof:
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}".encode("ascii")
        return Proof({"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}, {})


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """``private_key_jwt``: an assertion for each request, by any Signer; ``audience`` in place of the server's name."""

    client_id: str
    signer: Signer = field(repr=False)
    audience: str | None = None
    clock: Clock = field(default=SYSTEM_CLOCK, repr=False)

    def prove(self, audience: str) -> Proof:
        now = math.floor(self.clock.now())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience or audience,
            "iat": now,
            "exp": now + ASSERTION_LIFETIME_S,
            "jti": secrets.token_hex(16),
        }
        assertion = sign(strict_json.encode_object(claims), self.signer, typ="JWT")
        named = {"client_id": self.client_id, "client_assertion_type": ASSERTION_TYPE}
        return Proof({}, {**named, "client_assertion": assertion})
