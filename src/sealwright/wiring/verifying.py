"""Build a verifier from settings. Nothing here can reach stored keys."""

from __future__ import annotations

from dataclasses import dataclass

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Observer
from sealwright.settings import VerifierSettings
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.verifier import Verifier


@dataclass(frozen=True, slots=True)
class VerifyingSide:
    """The sidecar's verifier, and where its keys come from."""

    verifier: Verifier
    source: RemoteJWKSet

    def check_ready(self) -> None:
        """Ready means: it can decide. Fetches when there are no usable keys. Raises UnavailableError."""
        if not self.source.status().usable:
            self.source.refresh()


def build_verifying(settings: VerifierSettings, observer: Observer, clock: Clock = SYSTEM_CLOCK) -> VerifyingSide:
    """One configured issuer behind a JWKS URL."""
    policy = VerificationPolicy(
        issuer=settings.issuer,
        audience=settings.audience,
        algorithms=settings.algorithms,
        typ=settings.typ,
        leeway_s=settings.leeway_s,
    )
    source = RemoteJWKSet(settings.jwks_url, observer=observer, clock=clock)
    return VerifyingSide(Verifier(issuers=[TrustedIssuer(policy, source)], observer=observer, clock=clock), source)
