"""Admission: whom a token speaks for, and whether the route that it was shown at is open to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sealwright.trust.evidence import Evidence
from sealwright.trust.identity import Identity, IdentityMap
from sealwright.trust.routes import Routes
from sealwright.trust.token_check import Proven, TokenCheck

_ORIGIN = re.compile(r"\Ahttps?://[^/?#\\]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Admission:
    """The TokenCheck of one issuer that comes first: what it refuses must not count as presented.

    Without a path or URL in the evidence, or without ``routes``, only the identity is checked.
    """

    identities: IdentityMap
    routes: Routes | None = None
    name: str = "route"
    reads_only: bool = True

    @property
    def expects(self) -> str:
        return "an identity" if self.routes is None else "an identity to whom the route is open"

    def check(self, seen: Proven, _: float) -> None:
        """Raises RejectedError ``claims.*`` or ``route.*``."""
        self.admit(seen)

    async def acheck(self, seen: Proven, _: float) -> None:
        self.admit(seen)

    def admit(self, seen: Proven) -> None:
        identity = self.identities.identity_of(seen.verified)
        if self.routes is not None:
            _check_route(self.routes, identity, seen.evidence)

    def again(self, seen: Proven) -> TokenCheck | None:
        """The identity of a token stays the same; which route it is presented for does not."""
        return None if self.routes is None else AdmittedAgain(self.identities.identity_of(seen.verified), self.routes)


@dataclass(frozen=True, slots=True)
class AdmittedAgain:
    """What is left of an Admission for a token whose identity is known."""

    identity: Identity
    routes: Routes
    name: str = "route"
    expects: str = "an identity to whom the route is open"
    is_prompt: bool = True

    def check(self, seen: Proven, _: float) -> None:
        _check_route(self.routes, self.identity, seen.evidence)

    async def acheck(self, seen: Proven, now: float) -> None:
        self.check(seen, now)


def _check_route(routes: Routes, identity: Identity, evidence: Evidence) -> None:
    path = _path(evidence)
    if path is not None:
        routes.check(evidence.method or "", path, identity)


def _path(evidence: Evidence) -> str | None:
    """The path of the request, or of its URL as it is written."""
    if evidence.path is not None or evidence.url is None:
        return evidence.path
    return _ORIGIN.sub("", evidence.url, count=1) or "/"
