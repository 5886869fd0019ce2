"""The whole diamond in one process: the verifier reads a live snapshot of what the signing side publishes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache

from sealwright.config.policies import policy_of
from sealwright.config.tables import IssuerTable
from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.applied_policies import CatalogPolicies
from sealwright.keys.audit import AuditEntry
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.oauth_clients import OAuthClients
from sealwright.keys.policy import IssuerPolicy
from sealwright.keys.token_statuses import TokenStatuses
from sealwright.profiles import access_token
from sealwright.settings import INTERNAL_ISSUER, ServiceSettings, Timings
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.key_source import KeySource
from sealwright.trust.policy import IGNORE_AUDIENCE, Ignore, VerificationPolicy
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.sources.snapshot import SnapshotKeys
from sealwright.trust.token_check import ANY_BINDING, UNBOUND, TokenCheck
from sealwright.trust.verifier import Verifier
from sealwright.wiring.applying import Applying, Plan
from sealwright.wiring.client_assertions import ClientAssertions
from sealwright.wiring.key_encryption import KeyEncryption
from sealwright.wiring.observing import Observing
from sealwright.wiring.own_revocations import OwnRevocations
from sealwright.wiring.publishing import Publications
from sealwright.wiring.signing import SigningSide
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
        self.stopping = False  # nobody is kept waiting any more
        self.tokens = TokenStatuses(signing.catalog, signing.clock, observing.observer)
        self.clients = OAuthClients(signing.catalog, signing.clock)
        self.assertions = ClientAssertions(settings, signing.clock)
        self.statements = self._statements()
        self._revocations = OwnRevocations(publications, self.tokens, f"{settings.at_url()}/issuers")
        self._shown = shown
        self._foreign: dict[str, KeySource] = {
            issuer: RemoteJWKSet(url, observer=observing.observer, clock=self.clock)
            for issuer, url in settings.trusted_issuers.items()
        }
        self._verifier_of = lru_cache(maxsize=256)(self._build_verifier)
        self._reader_of = lru_cache(maxsize=256)(self._build_reader)
        self.applying = Applying(
            signing.catalog,
            policies,
            signing.backends,
            self.clock,
            self._open_new,
            approvals=signing.lifecycle.approvals,
        )
        observing.metrics.watch_issuers(self._answerable)

    def issuer_url(self, name: str) -> str:
        """The "iss" of an issuer's tokens, and the base of its well-known pages."""
        return self.settings.issuer_url(name)

    def verifier(self, audience: str) -> Verifier:
        """Decides over access tokens of our own issuers and of the trusted foreign ones, for one audience."""
        return self._verifier_of(audience, self.signing.catalog.version())

    def reader(self, issuer: str, *, marked: bool = False) -> Verifier:
        """Decides over tokens of one issuer of ours for whoever asks about a token without taking it: its audience and
        its binding are for others to judge. With ``marked`` a token that is revoked or suspended is good enough.

        Raises RejectedError ``request.not_found``.
        """
        self.publications.issuer(issuer)
        return self._reader_of(issuer, marked, self.signing.catalog.version())

    def sequence(self, issuer: str) -> int:
        """The version of the catalog as of which keys, revocations or revoked tokens of an issuer last changed."""
        return max(self.publications.issuer(issuer).sequence, self.tokens.sequence(issuer))

    def operators(self) -> Verifier:
        """Decides over credentials: access tokens of the internal issuer for this service itself."""
        return Verifier(
            issuers=[self._own_issuer(INTERNAL_ISSUER, self.settings.at_url())],
            revocation=self._revocations,
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

    def close(self) -> None:
        self.signing.close()
        self.assertions.close()
        for source in self._foreign.values():
            source.close()

    def _open_new(self, issuer: str, actor: str, reason: str) -> None:
        self._shown.add(issuer)
        self.signing.lifecycle.open_issuer(issuer, actor=actor, reason=reason)

    def _statements(self) -> SignedStatements:
        def trust_root() -> ManagedSigner:
            return self.signing.signer(INTERNAL_ISSUER, "trust-root")

        url, clock, signer = self.settings.issuer_url, self.clock, self.signing.signer
        return SignedStatements(self.signing.catalog, trust_root, signer, self.tokens, url, clock)

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
        return Verifier(
            issuers=trusted, revocation=self._revocations, observer=self.observing.observer, clock=self.clock
        )

    def _build_reader(self, name: str, marked: bool, _: int) -> Verifier:
        issuer = self._own_issuer(name, IGNORE_AUDIENCE, ANY_BINDING)
        revocation = self._revocations.of_keys if marked else self._revocations
        return Verifier(issuers=[issuer], revocation=revocation, observer=self.observing.observer, clock=self.clock)

    def _own_issuer(self, name: str, audience: str | Ignore, binding: TokenCheck = UNBOUND) -> TrustedIssuer:
        def published() -> JWKSet:
            return self.publications.issuer(name).jwks

        policy = VerificationPolicy(
            issuer=self.issuer_url(name),
            audience=audience,
            typ=access_token.TYP,
            leeway_s=self.policies.of(name).timings.leeway_s,
            label=name,
        )
        return TrustedIssuer(policy, SnapshotKeys(published), binding)
