"""CatalogPolicies: the policies that were applied, which are documents of the catalog; and how they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from sealwright.keys.catalog import KeyCatalog, Put, put_over
from sealwright.keys.policy import IssuerPolicy, Policies
from sealwright.keys.timings import KeyTimings

KIND = "policy"


class CatalogPolicies:
    """What was applied, at the latest a second after another process applied it; the settings' for other issuers."""

    def __init__(self, catalog: KeyCatalog, settings: Policies) -> None:
        self._catalog = catalog
        self._settings = settings
        self._known: tuple[int, Mapping[str, IssuerPolicy]] = (-1, {})

    def of(self, issuer: str) -> IssuerPolicy:
        return self.applied().get(issuer) or self._settings.of(issuer)

    def applied(self) -> Mapping[str, IssuerPolicy]:
        """Read again only when the catalog's version has changed."""
        version, known = self._catalog.version(), self._known
        if known[0] != version:
            documents = self._catalog.documents(KIND)
            known = self._known = (version, {name: read_policy(found.body) for name, found in documents.items()})
        return known[1]


def policy_put(catalog: KeyCatalog, issuer: str, policy: IssuerPolicy) -> Put:
    """The change that stores a policy over the one that is stored now."""
    return put_over(catalog.document(KIND, issuer), KIND, issuer, written_policy(policy))


def written_policy(policy: IssuerPolicy) -> dict[str, Any]:
    """As JSON has it; times in seconds."""
    return {**asdict(policy), "approvals": dict(policy.approvals)}


def read_policy(body: Mapping[str, Any]) -> IssuerPolicy:
    """The written form; what a newer release added is left out, and what it lacks has its default."""
    known = {name: body[name] for name in _names(IssuerPolicy) & body.keys()}
    timings = known.get("timings", {})
    known["timings"] = KeyTimings(**{name: timings[name] for name in _names(KeyTimings) & timings.keys()})
    return IssuerPolicy(**known)


def _names(kind: type[IssuerPolicy] | type[KeyTimings]) -> set[str]:
    return {field.name for field in fields(kind)}
