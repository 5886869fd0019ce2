"""Build the signing side: backends, lifecycle and a signer for each issuer."""

from __future__ import annotations

from dataclasses import dataclass, field

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Observer
from sealwright.keys.backend import KeyBackend
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.observed_backend import ObservedBackend
from sealwright.keys.policy import Policies
from sealwright.keys.record import Purpose
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import DataFolder, read_kek_text
from sealwright.wiring.key_backends import open_backend, open_local


@dataclass(frozen=True, slots=True)
class SigningSide:
    """The lifecycle of all keys, and a signer for the active key of each issuer."""

    catalog: KeyCatalog
    backends: dict[str, KeyBackend]
    lifecycle: KeyLifecycle
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


def build_backends(
    settings: ServiceSettings, folder: DataFolder, observer: Observer, clock: Clock = SYSTEM_CLOCK
) -> dict[str, KeyBackend]:
    """Every key backend this machine is configured for, by the name that key records use.

    Raises ConfigurationError ``settings.kek_*`` or ``settings.backend``, before anything is written to the database.
    """
    kek = settings.kek.get_secret_value() if settings.kek else None
    opened: list[KeyBackend] = [open_local(folder, read_kek_text(folder, kek, settings.kek_file))]
    opened += [open_backend(name, uri.get_secret_value()) for name, uri in settings.backends.items()]
    return {backend.name: ObservedBackend(backend, observer, clock) for backend in opened}


def build_signing(
    settings: ServiceSettings,
    catalog: KeyCatalog,
    backends: dict[str, KeyBackend],
    policies: Policies,
    observer: Observer,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> SigningSide:
    lifecycle = KeyLifecycle(
        catalog, backends, policies=policies, clock=clock, observer=observer, issuer_url=settings.issuer_url
    )
    return SigningSide(catalog, backends, lifecycle, clock, observer)
