"""Build a verifier from settings. Nothing here can reach stored keys."""

from __future__ import annotations

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Observer
from sealwright.settings import VerifierSettings
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.verifier import Verifier


def build_verifier(settings: VerifierSettings, observer: Observer, clock: Clock = SYSTEM_CLOCK) -> Verifier:
    """The sidecar's verifier: one configured issuer behind a JWKS URL."""
    policy = VerificationPolicy(
        issuer=settings.issuer,
        audience=settings.audience,
        algorithms=settings.algorithms,
        typ=settings.typ,
        leeway_s=settings.leeway_s,
    )
    source = RemoteJWKSet(settings.jwks_url, observer=observer, clock=clock)
    return Verifier(issuers=[TrustedIssuer(policy, source)], observer=observer, clock=clock)
