"""Build the key catalog and what is published from it: records and public keys, no private ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.config.policies import policy_of
from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.jose import strict_json
from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.applied_policies import CatalogPolicies
from sealwright.keys.catalog import LEASE_S, KeyCatalog
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.history import trust_root_keys
from sealwright.keys.policy import FixedPolicies, IssuerPolicy, Policies
from sealwright.keys.publication import Schedule, max_age_s, published_keys, revoked_key_ids, schedule
from sealwright.keys.record import IN_JWKS, KeyRecord
from sealwright.keys.rotation import scheduled
from sealwright.keys.timings import KeyTimings
from sealwright.settings import INTERNAL_ISSUER, ServiceSettings
from sealwright.wiring.data_folder import DataFolder


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    """What one issuer shows the world, all of one instant. ``sequence`` is the version of the catalog, and
    ``changed_at`` the monotonic time, at which this process saw its keys or revocations change last.
    """

    jwks: JWKSet
    revoked: frozenset[str]
    body: bytes
    etag: str
    ahead: Schedule
    sequence: int
    changed_at: float

    @property
    def content(self) -> tuple[bytes, frozenset[str]]:
        """What verifiers obey."""
        return self.body, self.revoked


class Publications:
    """A live snapshot of every issuer's published keys; rebuilt when the catalog's version has changed."""

    def __init__(self, catalog: KeyCatalog, policies: Policies, clock: Clock = SYSTEM_CLOCK) -> None:
        self._catalog = catalog
        self._policies = policies
        self._clock = clock
        self._snapshot: tuple[int, list[KeyRecord], dict[str, IssuerKeys]] = (-1, [], {})

    def issuers(self) -> tuple[str, ...]:
        """The names of all open issuers, oldest first."""
        return tuple(self._current()[2])

    def issuer(self, name: str) -> IssuerKeys:
        """Raises RejectedError ``request.not_found`` for an issuer that is not open."""
        try:
            return self._current()[2][name]
        except KeyError:
            raise RejectedError(Reason.REQUEST_NOT_FOUND, "there is no such issuer") from None

    def trust_root(self) -> tuple[bytes, str]:
        """The JWK Set page of the trust root, and its ETag."""
        body = strict_json.encode_object(trust_root_keys(self._current()[1]).to_dict())
        return body, etag(body)

    def max_age_s(self, name: str) -> int:
        """As of this moment: what is ahead is part of the snapshot. Raises RejectedError ``request.not_found``."""
        return max_age_s(self._policies.of(name).timings, self.issuer(name).ahead, self._clock.now())

    def _current(self) -> tuple[int, list[KeyRecord], dict[str, IssuerKeys]]:
        try:
            version = self._catalog.version()
        except UnavailableError:
            if self._snapshot[0] < 0 or self._catalog.confirmed_age_s() > LEASE_S:
                raise
            return self._snapshot  # a store that is gone for a moment: what was true a moment ago
        if self._snapshot[0] != version:
            records = self._catalog.records()
            of: dict[str, list[KeyRecord]] = {}
            for record in records:
                of.setdefault(record.issuer, []).append(record)
            names = dict.fromkeys(record.issuer for record in records if record.published and record.purpose in IN_JWKS)
            seen = version, self._clock.monotonic()
            shown = {name: self._followed(name, _issuer_keys(of[name], name, self._policies, *seen)) for name in names}
            self._snapshot = (version, records, shown)
        return self._snapshot

    def _followed(self, name: str, now: IssuerKeys) -> IssuerKeys:
        """An issuer that shows what it showed before has not changed, whatever else the catalog has."""
        before = self._snapshot[2].get(name)
        if before is None or before.content != now.content:
            return now
        return replace(now, sequence=before.sequence, changed_at=before.changed_at)


def build_catalog(settings: ServiceSettings, folder: DataFolder) -> SqlCatalog:
    """Raises ConfigurationError ``settings.database*`` or UnavailableError ``catalog.unavailable``."""
    return SqlCatalog.open(database_url(settings, folder), writer=settings.replica)


def database_url(settings: ServiceSettings, folder: DataFolder) -> str:
    """The one that is set, or SQLite in the data folder."""
    return settings.database_url.get_secret_value() if settings.database_url else f"sqlite:///{folder.database}"


def build_policies(settings: ServiceSettings, catalog: KeyCatalog) -> CatalogPolicies:
    """What was applied; for other issuers what the settings say.

    What a file says about one issuer counts once it is applied: a file that was edited changes nothing by itself.
    """
    times = settings.timings.model_dump()
    usual = IssuerPolicy(timings=KeyTimings(**times))
    ours = replace(usual, algorithm=settings.internal_algorithm, backend=settings.internal_backend)
    named = {INTERNAL_ISSUER: ours}
    for name, table in settings.issuers.items():
        filed = settings.config is not None
        named[name] = replace(usual, algorithm=table.algorithm) if filed else policy_of(table, times)
    return CatalogPolicies(catalog, FixedPolicies(usual, named))


def _issuer_keys(
    records: list[KeyRecord], name: str, policies: Policies, sequence: int, changed_at: float
) -> IssuerKeys:
    jwks = published_keys(records, name)
    body = strict_json.encode_object(jwks.to_dict())
    ahead = schedule(scheduled(records, policies), name)
    return IssuerKeys(jwks, revoked_key_ids(records, name), body, etag(body), ahead, sequence, changed_at)


def etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
