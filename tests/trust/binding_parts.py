"""What tests of token binding have in common: bound tokens, and proofs of any kind that a client might make."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Any

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.jose import base64url, strict_json
from sealwright.profiles.dpop_proof import sign_proof
from sealwright.trust.binding import Binding
from sealwright.trust.decision import Decision
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.evidence import Evidence
from sealwright.trust.sources.static import StaticKeys

ISSUER, AUDIENCE = "https://id.example", "orders"
METHOD, URL = "POST", "https://orders.example/orders?page=2"
ISSUER_KEY = sw.PrivateJWK.generate("EdDSA", key_id="issuer")
CLIENT_KEY = sw.PrivateJWK.generate("ES256")
JKT = CLIENT_KEY.public.thumbprint()
X5T = base64url.encode_text(hashlib.sha256(b"a certificate").digest())


class OnceEach:
    """Claims that are kept for as long as they were asked to be kept, by a clock that the test moves."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock, self._ends, self._lock = clock, {}, threading.Lock()
        self.asked: list[tuple[bytes, float]] = []

    def claim(self, key: bytes, ttl_s: float) -> bool:
        with self._lock:
            now = self._clock.now()
            self.asked.append((key, ttl_s))
            free = self._ends.get(key, 0.0) <= now
            if free:
                self._ends[key] = now + ttl_s
            return free

    async def aclaim(self, key: bytes, ttl_s: float) -> bool:
        return self.claim(key, ttl_s)


def token(clock: ManualClock, **claims: Any) -> str:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(clock.now()) + 900}
    return sw.sign(strict_json.encode_object({**usual, **claims}), ISSUER_KEY)


def bound_token(clock: ManualClock, **cnf: Any) -> str:
    return token(clock, cnf=cnf or {"jkt": JKT})


def verifier(clock: ManualClock, claims: OnceEach | None = None, *, dpop: Any = None, **changes: Any) -> sw.Verifier:
    rules = dpop or DpopProofs()
    binding = Binding(dpop=rules, claims=claims or OnceEach(clock), **changes)
    policy = sw.VerificationPolicy(issuer=ISSUER, audience=AUDIENCE)
    return sw.Verifier(issuers=[sw.TrustedIssuer(policy, StaticKeys(ISSUER_KEY.public), binding)], clock=clock)


def proof_of(text: str, clock: ManualClock, key: sw.PrivateJWK = CLIENT_KEY, **more: Any) -> str:
    return sign_proof(key, METHOD, URL, token=text, clock=clock, **more)


def evidence(*proofs: str, **changes: Any) -> Evidence:
    return Evidence(**{"method": METHOD, "url": URL, "scheme": "dpop", "proofs": proofs, **changes})


def parts(proof: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a proof."""
    return tuple(strict_json.parse_object(base64url.decode_text(part)) for part in proof.split(".")[:2])  # type: ignore


def signed(header: dict[str, Any], claims: dict[str, Any], key: Any = CLIENT_KEY) -> str:
    text = b".".join(base64url.encode(strict_json.encode_object(part)) for part in (header, claims))
    return (text + b"." + base64url.encode(key.sign(text))).decode()


def each_way(make: Any, text: str, shown: Evidence) -> Decision:
    """The answer of every entry point, each asked of a verifier of its own, which all must agree."""
    ways = [
        make().decide(text, evidence=shown),
        asyncio.run(make().adecide(text, evidence=shown)),
        make().decide(text, evidence=shown, explain=True),
        asyncio.run(make().adecide(text, evidence=shown, explain=True)),
    ]
    assert len({(way.outcome, way.reason, str(way.verified)) for way in ways}) == 1
    return ways[2]
