"""Build the key catalog and what is published from it: records and public keys, no private ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.jwk_set import JWKSet
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.policy import FixedPolicies, IssuerPolicy, Policies
from sealwright.keys.publication import max_age_s, published_keys, revoked_key_ids
from sealwright.keys.record import KeyRecord
from sealwright.keys.timings import KeyTimings
from sealwright.settings import INTERNAL_ISSUER, ServiceSettings
from sealwright.wiring.data_folder import DataFolder


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    """What one issuer shows the world, all of one instant."""

    jwks: JWKSet
    revoked: frozenset[str]
    body: bytes
    etag: str


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

    def max_age_s(self, name: str) -> int:
        return max_age_s(self._policies.of(name).timings)

    def _current(self) -> tuple[int, list[KeyRecord], dict[str, IssuerKeys]]:
        version = self._catalog.version()
        if self._snapshot[0] != version:
            records = self._catalog.records()
            names = dict.fromkeys(record.issuer for record in records if record.published)
            self._snapshot = (version, records, {name: _issuer_keys(records, name) for name in names})
        return self._snapshot


def build_catalog(settings: ServiceSettings, folder: DataFolder) -> SqlCatalog:
    """Raises ConfigurationError ``settings.database``."""
    url = settings.database_url.get_secret_value() if settings.database_url else f"sqlite:///{folder.database}"
    return SqlCatalog.open(url)


def build_policies(settings: ServiceSettings) -> Policies:
    """The policy of every issuer, as the settings have it."""
    timings = KeyTimings(**settings.timings.model_dump())
    named = {
        INTERNAL_ISSUER: IssuerPolicy(algorithm=settings.internal_algorithm, timings=timings),
        **{
            name: IssuerPolicy(algorithm=alg, timings=timings, delegated_lifetime_s=_delegated_s(settings, name))
            for name, alg in settings.issuers.items()
        },
    }
    return FixedPolicies(IssuerPolicy(timings=timings), named)


def _delegated_s(settings: ServiceSettings, name: str) -> float:
    return settings.delegated_lifetime_s.get(name, 0.0)


def _issuer_keys(records: list[KeyRecord], name: str) -> IssuerKeys:
    jwks = published_keys(records, name)
    body = strict_json.encode_object(jwks.to_dict())
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return IssuerKeys(jwks, revoked_key_ids(records, name), body, etag)
