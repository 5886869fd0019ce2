"""Build the signing side: backends, lifecycle and a signer for each issuer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Observer
from sealwright.keys.backend import KeyBackend, SecretBackend
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.observed_backend import ObservedBackend
from sealwright.keys.partner_secrets import PartnerSecrets
from sealwright.keys.policy import Policies
from sealwright.keys.record import Purpose
from sealwright.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class SigningSide:
    """The lifecycle of all keys, and a signer for the active key of each issuer."""

    catalog: KeyCatalog
    backends: dict[str, KeyBackend]
    lifecycle: KeyLifecycle
    secrets: PartnerSecrets
    policies: Policies
    clock: Clock
    observer: Observer
    _signers: dict[tuple[str, Purpose], ManagedSigner] = field(default_factory=dict)

    def signer(self, issuer: str, purpose: Purpose = "token") -> ManagedSigner:
        """One for each issuer, so that it may remember the active key. Raises RefusedError ``move.unknown_issuer``."""
        wanted = (issuer, purpose)
        if wanted not in self._signers:
            self.lifecycle.active(issuer, purpose)  # names of strangers are not remembered
        made = ManagedSigner(
            self.catalog, self.backends, issuer, purpose=purpose, clock=self.clock, observer=self.observer
        )
        return self._signers.setdefault(wanted, made)


def build_signing(
    settings: ServiceSettings,
    catalog: KeyCatalog,
    backends: Mapping[str, KeyBackend],
    policies: Policies,
    observer: Observer,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> SigningSide:
    observed: dict[str, KeyBackend] = {
        name: ObservedBackend(backend, observer, clock, concurrency=_concurrency(settings, name))
        for name, backend in backends.items()
    }
    secrets = {name: backend for name, backend in backends.items() if isinstance(backend, SecretBackend)}
    lifecycle = KeyLifecycle(
        catalog, observed, policies=policies, clock=clock, observer=observer, issuer_url=settings.issuer_url
    )
    partners = PartnerSecrets(catalog, secrets, clock)
    return SigningSide(catalog, observed, lifecycle, partners, policies, clock, observer)


def _concurrency(settings: ServiceSettings, name: str) -> int | None:
    given = settings.backends.get(name)
    return given.concurrency if given is not None else None
