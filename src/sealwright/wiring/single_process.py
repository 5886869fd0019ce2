"""The whole diamond in one process: the verifier reads a live snapshot of what the signing side publishes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from typing import TextIO

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason, RefusedError
from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.record import Purpose
from sealwright.profiles import access_token
from sealwright.settings import INTERNAL_ISSUER, ServiceSettings
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.key_source import KeySource
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.sources.snapshot import SnapshotKeys
from sealwright.trust.verifier import Verifier
from sealwright.wiring.data_folder import OwnedFolder
from sealwright.wiring.observing import Observing, build_observing
from sealwright.wiring.publishing import Publications, build_catalog, build_policies
from sealwright.wiring.signing import SigningSide, build_backends, build_signing


class SingleProcess:
    """One machine's Sealwright: signing side, publications and verifiers, sharing one catalog."""

    def __init__(
        self,
        settings: ServiceSettings,
        signing: SigningSide,
        publications: Publications,
        observing: Observing,
        shown: set[str],
    ) -> None:
        self.settings = settings
        self.signing = signing
        self.publications = publications
        self.observing = observing
        self.clock = signing.clock
        self._shown = shown
        self._foreign: dict[str, KeySource] = {
            issuer: RemoteJWKSet(url, observer=observing.observer, clock=self.clock)
            for issuer, url in settings.trusted_issuers.items()
        }
        self._verifier_of = lru_cache(maxsize=256)(self._build_verifier)

    def issuer_url(self, name: str) -> str:
        """The "iss" of an issuer's tokens, and the base of its well-known pages."""
        return self.settings.issuer_url(name)

    def verifier(self, audience: str) -> Verifier:
        """Decides over access tokens of our own issuers and of the trusted foreign ones, for one audience."""
        return self._verifier_of(audience, self.publications.issuers())

    def operators(self) -> Verifier:
        """Decides over credentials: access tokens of the internal issuer for this service itself."""
        return Verifier(
            issuers=[self._own_issuer(INTERNAL_ISSUER, self.settings.at_url())],
            revocation=self,
            observer=self.observing.observer,
            clock=self.clock,
        )

    def open_issuer(self, name: str, *, algorithm: str, actor: str, reason: str) -> None:
        """A new issuer, whose name metrics may show from now on."""
        self._shown.add(name)
        self.signing.lifecycle.open_issuer(name, algorithm=algorithm, actor=actor, reason=reason)

    def key_revoked(self, issuer: str, key_id: str) -> bool:
        """The RevocationList of our own issuers: what the catalog says now, with no cache in between."""
        prefix, _, name = issuer.rpartition("/")
        if prefix != f"{self.settings.at_url()}/issuers" or name not in self.publications.issuers():
            return False
        return key_id in self.publications.issuer(name).revoked

    def close(self) -> None:
        self.signing.close()
        for source in self._foreign.values():
            source.close()

    def _build_verifier(self, audience: str, issuers: tuple[str, ...]) -> Verifier:
        trusted = [self._own_issuer(name, audience) for name in issuers if name != INTERNAL_ISSUER]
        for issuer, source in self._foreign.items():
            trusted.append(TrustedIssuer(VerificationPolicy(issuer=issuer, audience=audience), source))
        return Verifier(issuers=trusted, revocation=self, observer=self.observing.observer, clock=self.clock)

    def _own_issuer(self, name: str, audience: str) -> TrustedIssuer:
        def published() -> JWKSet:
            return self.publications.issuer(name).jwks

        policy = VerificationPolicy(
            issuer=self.issuer_url(name),
            audience=audience,
            typ=access_token.TYP,
            leeway_s=self.settings.timings.leeway_s,
            label=name,
        )
        return TrustedIssuer(policy, SnapshotKeys(published))


@contextlib.contextmanager
def open_single_process(
    settings: ServiceSettings, owned: OwnedFolder, *, logs: TextIO | None = None, clock: Clock = SYSTEM_CLOCK
) -> Iterator[SingleProcess]:
    """Open the stores, repair what a crash left, and open the configured issuers that are new.

    Raises ConfigurationError ``settings.*`` before anything is written, where it can.
    """
    names = {INTERNAL_ISSUER: settings.internal_algorithm, **settings.issuers}
    shown = set(names) | set(settings.trusted_issuers)
    observing = build_observing(shown, logs=logs, clock=clock)
    backends = build_backends(settings, owned.folder, observing.observer, clock)
    catalog = build_catalog(settings, owned.folder)
    with contextlib.closing(catalog):
        policies = build_policies(settings)
        signing = build_signing(settings, catalog, backends, policies, observing.observer, clock=clock)
        observing.metrics.watch_queues(signing.queues.values())
        publications = Publications(catalog, policies, clock)
        signing.lifecycle.recover(actor="sealwright")
        _open(signing.lifecycle, INTERNAL_ISSUER, settings.internal_algorithm, purpose="trust-root")
        for name, algorithm in names.items():
            _open(signing.lifecycle, name, algorithm)
            _compare(signing.lifecycle, name, algorithm)
        shown.update(publications.issuers())
        with contextlib.closing(SingleProcess(settings, signing, publications, observing, shown)) as process:
            yield process


def _open(lifecycle: KeyLifecycle, name: str, algorithm: str, *, purpose: Purpose = "token") -> None:
    """A new issuer is opened; one that is open already, maybe by another process just now, stays as it is."""
    try:
        lifecycle.open_issuer(name, algorithm=algorithm, actor="sealwright", reason="first start", purpose=purpose)
    except RefusedError as refused:
        if refused.reason is not Reason.GUARD_ISSUER_EXISTS:
            raise


def _compare(lifecycle: KeyLifecycle, name: str, algorithm: str) -> None:
    """An issuer that signs with another algorithm than the settings say stops the start."""
    algorithms = lifecycle.algorithms(name)
    if algorithm not in algorithms:
        raise ConfigurationError(
            Reason.SETTINGS_INVALID,
            f"the issuer {name} signs with {' and '.join(algorithms)}, and the settings say {algorithm}: "
            "set it back, or name another issuer for the other algorithm",
        )
