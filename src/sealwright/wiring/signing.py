"""Build the signing side: backends, lifecycle and a signer for each issuer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import BackendError, Reason, SealwrightError
from sealwright.events import Observer
from sealwright.keys.backend import KeyBackend
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.delegation import DelegatedKeys
from sealwright.keys.journal import Journal
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.observed_backend import ObservedBackend
from sealwright.keys.policy import Policies
from sealwright.keys.presigned import PresignedTokens
from sealwright.keys.signing_queue import SigningQueue
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import DataFolder, read_kek_text
from sealwright.wiring.key_backends import open_backend, open_local
from sealwright.wiring.signing_queues import build_queues


@dataclass(frozen=True, slots=True)
class SigningSide:
    """The lifecycle of all keys, and a signer for the active key of each issuer."""

    catalog: KeyCatalog
    backends: dict[str, KeyBackend]
    lifecycle: KeyLifecycle
    clock: Clock
    observer: Observer
    queues: dict[str, SigningQueue]
    presigned: PresignedTokens
    delegated: DelegatedKeys
    _signers: dict[str, ManagedSigner] = field(default_factory=dict)

    def signer(self, issuer: str) -> ManagedSigner:
        """One for each issuer, so that it may remember the active key. Raises RefusedError ``move.unknown_issuer``."""
        if issuer not in self._signers:
            self.lifecycle.active(issuer)  # names of strangers are not remembered
        return self._signers.setdefault(
            issuer,
            ManagedSigner(
                self.catalog, self.backends, issuer, clock=self.clock, observer=self.observer, queues=self.queues
            ),
        )

    def queue(self, issuer: str) -> SigningQueue:
        """The queue before the backend that signs for this issuer now. May read the catalog.

        Raises as signer, and BackendError ``backend.failed`` for a key at a backend that is not configured here.
        """
        name = self.signer(issuer).key().record.backend
        if name not in self.queues:
            raise BackendError(Reason.BACKEND_FAILED, f"no key backend is called {name} here")
        return self.queues[name]

    def known_queue(self, issuer: str) -> SigningQueue | None:
        """The same as far as it is known from the last signature; asks nobody."""
        signer = self._signers.get(issuer)
        return None if signer is None or signer.known_backend is None else self.queues.get(signer.known_backend)

    def close(self) -> None:
        """Take no more requests, and write how often tokens were handed out again."""
        for queue in self.queues.values():
            queue.close()
        with suppress(SealwrightError):
            self.presigned.flush(self.catalog)


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
    journal = Journal(catalog, backends, policies, clock, observer)

    def signer_of(issuer: str) -> ManagedSigner:
        return side.signer(issuer)

    side = SigningSide(
        catalog,
        backends,
        lifecycle,
        clock,
        observer,
        build_queues(settings, backends, observer, clock),
        PresignedTokens(clock, age_s=getattr(catalog, "confirmed_age_s", lambda: 0.0)),
        DelegatedKeys(journal, backends, signer_of, settings.issuer_url),
    )
    return side
