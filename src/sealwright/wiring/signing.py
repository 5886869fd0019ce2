"""Build the signing side: backends, lifecycle and a signer for each issuer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import SealwrightError
from sealwright.events import Observer
from sealwright.keys.backend import KeyBackend, SecretBackend, backend_named
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.delegation import DelegatedKeys
from sealwright.keys.fleet_store import FleetStore
from sealwright.keys.journal import Journal
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.live_fleet import LiveFleet
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.observed_backend import ObservedBackend
from sealwright.keys.partner_secrets import PartnerSecrets
from sealwright.keys.policy import Policies
from sealwright.keys.presigned import PresignedTokens
from sealwright.keys.record import Purpose
from sealwright.keys.signing_queue import SigningQueue
from sealwright.settings import ServiceSettings
from sealwright.wiring.signing_queues import build_queues


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
    queues: dict[str, SigningQueue]
    presigned: PresignedTokens
    delegated: DelegatedKeys
    _signers: dict[tuple[str, Purpose], ManagedSigner] = field(default_factory=dict)

    def signer(self, issuer: str, purpose: Purpose = "token") -> ManagedSigner:
        """One for each issuer, so that it may remember the active key. Raises RefusedError ``move.unknown_issuer``."""
        wanted = (issuer, purpose)
        known = self._signers.get(wanted)
        if known is not None:
            return known
        self.lifecycle.active(issuer, purpose)  # names of strangers are not remembered
        made = ManagedSigner(
            self.catalog,
            self.backends,
            issuer,
            purpose=purpose,
            clock=self.clock,
            observer=self.observer,
            queues=self.queues,
        )
        return self._signers.setdefault(wanted, made)

    def queue(self, issuer: str) -> SigningQueue:
        """The queue before the backend that signs for this issuer now. May read the catalog.

        Raises as signer, and BackendError ``backend.failed`` for a key at a backend that is not configured here.
        """
        name = self.signer(issuer).key().record.backend
        backend_named(self.backends, name)
        return self.queues[name]

    def known_queue(self, issuer: str) -> SigningQueue | None:
        """The same as far as it is known from the last signature; asks nobody."""
        signer = self._signers.get((issuer, "token"))
        return None if signer is None or signer.known_backend is None else self.queues.get(signer.known_backend)

    def close(self) -> None:
        """Take no more requests, write how often tokens were handed out again, and give sessions back."""
        for queue in self.queues.values():
            queue.close()
        with suppress(SealwrightError):
            self.presigned.flush(self.catalog)
        for backend in self.backends.values():
            with suppress(SealwrightError):
                backend.close()


def build_signing(
    settings: ServiceSettings,
    catalog: KeyCatalog,
    backends: Mapping[str, KeyBackend],
    policies: Policies,
    observer: Observer,
    *,
    clock: Clock = SYSTEM_CLOCK,
    fleet: FleetStore | None = None,
) -> SigningSide:
    observed: dict[str, KeyBackend] = {
        name: ObservedBackend(backend, observer, clock) for name, backend in backends.items()
    }
    secrets = {name: backend for name, backend in backends.items() if isinstance(backend, SecretBackend)}
    told: dict[str, Any] = {
        "policies": policies,
        "clock": clock,
        "observer": observer,
        "issuer_url": settings.issuer_url,
    }
    lifecycle = KeyLifecycle(catalog, observed, **told, fleet=_live_fleet(settings, fleet, clock))
    partners = PartnerSecrets(catalog, secrets, clock)
    journal = Journal(catalog, observed, policies, clock, observer)

    def signer_of(issuer: str) -> ManagedSigner:
        return side.signer(issuer)

    side = SigningSide(
        catalog,
        observed,
        lifecycle,
        partners,
        policies,
        clock,
        observer,
        build_queues(settings, observed, observer, clock),
        PresignedTokens(clock, age_s=catalog.confirmed_age_s),
        DelegatedKeys(journal, observed, signer_of, settings.issuer_url),
    )
    return side


def _live_fleet(settings: ServiceSettings, store: FleetStore | None, clock: Clock) -> LiveFleet:
    rules = settings.fleet
    return LiveFleet(
        store,
        clock,
        share=rules.acknowledged_share,
        lost_after_s=rules.lost_after_s,
        patience_s=rules.patience_s,
    )
