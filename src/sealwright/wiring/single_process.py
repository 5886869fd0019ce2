"""The whole diamond in one process: the verifier reads a live snapshot of what the signing side publishes."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import TextIO

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.config.policies import policy_of
from sealwright.config.tables import IssuerTable
from sealwright.errors import ConfigurationError, Reason, RefusedError
from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.applied_policies import CatalogPolicies
from sealwright.keys.audit import AuditEntry
from sealwright.keys.backend import KeyBackend
from sealwright.keys.backends.catalog_secrets import CatalogSecrets
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.policy import IssuerPolicy
from sealwright.keys.record import Purpose
from sealwright.profiles import access_token
from sealwright.settings import INTERNAL_ISSUER, ServiceSettings, Timings
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.key_source import KeySource
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.sources.snapshot import SnapshotKeys
from sealwright.trust.verifier import Verifier
from sealwright.wiring.applying import Applying, Plan
from sealwright.wiring.config_file import refuse_faults
from sealwright.wiring.data_folder import OwnedFolder
from sealwright.wiring.key_backends import open_backends, open_local
from sealwright.wiring.key_encryption import KeyEncryption
from sealwright.wiring.observing import Observing, build_observing
from sealwright.wiring.publishing import Publications, build_catalog, build_policies
from sealwright.wiring.signing import SigningSide, build_signing
from sealwright.wiring.statements import SignedStatements

Planned = tuple[Mapping[str, IssuerPolicy], Plan]


class SingleProcess:
    """One machine's Sealwright: signing side, publications and verifiers, sharing one catalog."""

    def __init__(
        self,
        settings: ServiceSettings,
        signing: SigningSide,
        publications: Publications,
        observing: Observing,
        *,
        encryption: KeyEncryption,
        shown: set[str],
        policies: CatalogPolicies,
    ) -> None:
        self.settings = settings
        self.policies = policies
        self.signing = signing
        self.publications = publications
        self.observing = observing
        self.encryption = encryption
        self.clock = signing.clock
        self.statements = SignedStatements(
            signing.catalog,
            lambda: signing.signer(INTERNAL_ISSUER, "trust-root"),
            settings.issuer_url,
            signing.clock,
        )
        self._shown = shown
        self._foreign: dict[str, KeySource] = {
            issuer: RemoteJWKSet(url, observer=observing.observer, clock=self.clock)
            for issuer, url in settings.trusted_issuers.items()
        }
        self._verifier_of = lru_cache(maxsize=256)(self._build_verifier)
        self.applying = Applying(signing.catalog, policies, signing.backends, self.clock, self._open_new)
        observing.metrics.watch_issuers(self._answerable)

    def issuer_url(self, name: str) -> str:
        """The "iss" of an issuer's tokens, and the base of its well-known pages."""
        return self.settings.issuer_url(name)

    def verifier(self, audience: str) -> Verifier:
        """Decides over access tokens of our own issuers and of the trusted foreign ones, for one audience."""
        return self._verifier_of(audience, self.signing.catalog.version())

    def operators(self) -> Verifier:
        """Decides over credentials: access tokens of the internal issuer for this service itself."""
        return Verifier(
            issuers=[self._own_issuer(INTERNAL_ISSUER, self.settings.at_url())],
            revocation=self,
            observer=self.observing.observer,
            clock=self.clock,
        )

    def open_issuer(self, name: str, *, algorithm: str, actor: str, reason: str) -> None:
        """A new issuer."""
        self.show(name)
        self.signing.lifecycle.open_issuer(name, algorithm=algorithm, actor=actor, reason=reason)

    def rotate_kek(self, *, actor: str, reason: str) -> int:
        """Seal everything under a new key-encryption key, while everything goes on; how much that was."""
        with self.signing.catalog.turn("kek"):
            resealed = self.encryption.rotate()
            facts = {"resealed": resealed}
            entry = AuditEntry(self.clock.now(), actor, "kek.rotated", INTERNAL_ISSUER, None, reason, facts)
            self.signing.catalog.commit([], entry)
            return resealed

    def show(self, issuer: str) -> None:
        """Metrics may show the name of this issuer from now on."""
        self._shown.add(issuer)

    def plan(self, issuers: Mapping[str, IssuerTable], timings: Timings, backends: Collection[str]) -> Planned:
        """The policies that these tables mean, and what applying them would change."""
        wanted = {name: policy_of(table, timings.model_dump()) for name, table in issuers.items()}
        return wanted, self.applying.plan(wanted, backends, reserved=[INTERNAL_ISSUER])

    def own_plan(self) -> Plan | None:
        """How the file that this process was started with differs from what runs; None without a file."""
        settings = self.settings
        if settings.config is None:
            return None
        return self.plan(settings.issuers, settings.timings, settings.backends.keys())[1]

    def key_revoked(self, issuer: str, key_id: str) -> bool:
        """The RevocationList of our own issuers: what the catalog says now, with no cache in between."""
        prefix, _, name = issuer.rpartition("/")
        if prefix != f"{self.settings.at_url()}/issuers" or name not in self.publications.issuers():
            return False
        return key_id in self.publications.issuer(name).revoked

    def close(self) -> None:
        for source in self._foreign.values():
            source.close()

    def _open_new(self, issuer: str, actor: str, reason: str) -> None:
        self._shown.add(issuer)
        self.signing.lifecycle.open_issuer(issuer, actor=actor, reason=reason)

    def _answerable(self) -> list[tuple[str, str, str, str]]:
        """Each issuer with its owner, pager and runbook, for metrics."""
        policies = {name: self.policies.of(name) for name in self.publications.issuers()}
        return [(name, policy.owner, policy.pager, policy.runbook) for name, policy in policies.items()]

    def _build_verifier(self, audience: str, _: int) -> Verifier:
        """Anew for each version of the catalog: an issuer or its leeway may have changed."""
        names = self.publications.issuers()
        trusted = [self._own_issuer(name, audience) for name in names if name != INTERNAL_ISSUER]
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
            leeway_s=self.policies.of(name).timings.leeway_s,
            label=name,
        )
        return TrustedIssuer(policy, SnapshotKeys(published))


@contextlib.contextmanager
def open_single_process(
    settings: ServiceSettings,
    owned: OwnedFolder,
    *,
    logs: TextIO | None = None,
    clock: Clock = SYSTEM_CLOCK,
    open_new: bool = True,
) -> Iterator[SingleProcess]:
    """Open the stores, repair what a crash left, and open the configured issuers that are new, unless told not to.

    Raises ConfigurationError ``settings.*`` before anything is written, where it can.
    """
    if settings.config is not None:
        refuse_faults(settings.config)
    shown = {INTERNAL_ISSUER, *settings.issuers, *settings.trusted_issuers}
    observing = build_observing(shown, logs=logs, clock=clock)
    encryption = KeyEncryption(settings, owned.folder)
    local = open_local(settings.keys_folder or owned.folder.keys, encryption.sealer)
    encryption.holders.append(local.reseal)
    uris = {name: given.uri.get_secret_value() for name, given in settings.backends.items()}
    backends: dict[str, KeyBackend] = {local.name: local, **open_backends(uris)}
    catalog = build_catalog(settings, owned.folder)
    with contextlib.closing(catalog):
        secrets = CatalogSecrets(catalog, encryption.sealer, clock)
        encryption.holders.append(secrets.reseal)
        encryption.finish()
        backends[secrets.name] = secrets
        policies = build_policies(settings, catalog)
        signing = build_signing(settings, catalog, backends, policies, observing.observer, clock=clock)
        publications = Publications(catalog, policies, clock)
        signing.lifecycle.recover(actor="sealwright")
        shown.update(publications.issuers())
        process = SingleProcess(
            settings, signing, publications, observing, encryption=encryption, shown=shown, policies=policies
        )
        with contextlib.closing(process):
            _open_issuers(process, settings.issuers if open_new else {})
            yield process


def _open_issuers(process: SingleProcess, tables: Mapping[str, IssuerTable]) -> None:
    """A new issuer is opened, and lives by its file from the beginning; one that is open stays as it is."""
    lifecycle, settings = process.signing.lifecycle, process.settings
    _open(lifecycle, INTERNAL_ISSUER, purpose="trust-root")
    _open(lifecycle, INTERNAL_ISSUER)
    _compare(process, INTERNAL_ISSUER, settings.internal_algorithm)
    wanted = {name: policy_of(table, settings.timings.model_dump()) for name, table in tables.items()}
    for name, policy in wanted.items():
        if settings.config is not None and name not in process.publications.issuers():
            with _already_open():
                process.applying.open(name, policy, actor="sealwright", reason="first start")
        else:
            _open(lifecycle, name)
            _compare(process, name, policy.algorithm)


def _open(lifecycle: KeyLifecycle, name: str, *, purpose: Purpose = "token") -> None:
    with _already_open():
        lifecycle.open_issuer(name, actor="sealwright", reason="first start", purpose=purpose)


@contextlib.contextmanager
def _already_open() -> Iterator[None]:
    """Maybe by another process just now."""
    try:
        yield
    except RefusedError as refused:
        if refused.reason is not Reason.GUARD_ISSUER_EXISTS:
            raise


def _compare(process: SingleProcess, name: str, algorithm: str) -> None:
    """An issuer that signs with another algorithm than the environment says stops the start.

    Where a policy was applied, or a file speaks, config plan tells the difference.
    """
    algorithms = process.signing.lifecycle.algorithms(name)
    if name in process.policies.applied() or (process.settings.config is not None and name != INTERNAL_ISSUER):
        return
    if algorithm not in algorithms:
        raise ConfigurationError(
            Reason.SETTINGS_INVALID,
            f"the issuer {name} signs with {' and '.join(algorithms)}, and the settings say {algorithm}: "
            "set it back, or name another issuer for the other algorithm",
        )
