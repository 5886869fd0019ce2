"""Refusals: the status and the headers of a request that a proxy must not pass on. Reasons are for operators only."""

from __future__ import annotations

from sealwright.errors import Reason, UnavailableError
from sealwright.services.http import RETRY_AFTER_S
from sealwright.trust import bearer
from sealwright.trust.decision import Decision

_NOT_KEPT = (b"cache-control", b"no-store")


class Refusals:
    """400, 401, 403 and 503 by ``bearer.status``, each with its challenge (RFC 6750 §3)."""

    def __init__(self, realm: str) -> None:
        self._realm = realm

    def of(self, decision: Decision) -> tuple[int, list[tuple[bytes, bytes]]]:
        error = decision.error or UnavailableError(Reason.SOURCE_UNAVAILABLE, "the token could not be checked")
        status = bearer.status(error)
        if status == 503:
            return status, [_NOT_KEPT, (b"retry-after", str(RETRY_AFTER_S).encode())]
        return status, [_NOT_KEPT, (b"www-authenticate", bearer.challenge(error, realm=self._realm).encode("latin-1"))]
