"""Admission: whom a token speaks for, and whether the route that it was shown at is open to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sealwright.trust.evidence import Evidence
from sealwright.trust.identity import Identity, IdentityMap
from sealwright.trust.routes import Routes
from sealwright.trust.token_check import Proven

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

    def admit(self, seen: Proven) -> Identity:
        identity = self.identities.identity_of(seen.verified)
        path = _path(seen.evidence)
        if self.routes is not None and path is not None:
            self.routes.check(seen.evidence.method or "", path, identity)
        return identity


def _path(evidence: Evidence) -> str | None:
    """The path of the request, or of its URL as it is written."""
    if evidence.path is not None or evidence.url is None:
        return evidence.path
    return _ORIGIN.sub("", evidence.url, count=1) or "/"
