"""Sealwright, as its README shows it: without an observer, and with metrics on."""

from __future__ import annotations

from typing import Any

import sealwright as sw
from benchmarks.contestants import OBSERVED, OURS, Contestant, Sign, Verify, cannot
from benchmarks.work import AUDIENCE, ISSUER, Work
from sealwright.events import Observer
from sealwright.jose.compact import MAXIMUM_TOKEN_BYTES
from sealwright.trust.key_source import KeySource
from sealwright.trust.sources.shared_secret import SharedSecret
from sealwright.trust.sources.static import StaticKeys
from sealwright.wiring.observing import build_observing


def key_source(work: Work) -> KeySource:
    secrets = [key for key in work.keys if isinstance(key, sw.SecretJWK)]
    return SharedSecret(*secrets) if secrets else StaticKeys(sw.JWKSet.from_dict({"keys": work.public_members()}))


def verifier(work: Work, observer: Observer | None = None) -> sw.Verifier:
    return sw.Verifier(
        issuer=ISSUER,
        audience=AUDIENCE,
        keys=key_source(work),
        algorithms={work.alg, "Ed25519"} if work.alg == "EdDSA" else {work.alg},  # both names of it
        observer=observer,
        maximum_token_bytes=MAXIMUM_TOKEN_BYTES,
    )


def verifying(work: Work, observer: Observer | None = None) -> Verify:
    verify = verifier(work, observer).verify

    def ours(token: str) -> dict[str, Any]:
        return verify(token).claims

    return ours


def _observed(work: Work) -> Verify:
    return verifying(work, build_observing({ISSUER}).observer)


def signing(work: Work) -> Sign:
    custom, key = work.custom, work.key
    return lambda: sw.sign_claims(custom, key, issuer=ISSUER, audience=AUDIENCE, lifetime_s=900)


CONTESTANTS = (
    Contestant(OURS, "ours", verifying, signing),
    # The event of a signature belongs to ManagedSigner, which does more: it audits, and verifies what it signed.
    Contestant(OBSERVED, "ours", _observed, cannot("sign_claims has no observer")),
)
