"""Refusals: the status and the headers of a request that a proxy must not pass on. Reasons are for operators only."""

from __future__ import annotations

import re

from sealwright.errors import Reason, SealwrightError, UnavailableError
from sealwright.services.http import RETRY_AFTER_S
from sealwright.trust import bearer
from sealwright.trust.decision import Decision
from sealwright.trust.dpop import ALGORITHMS_OF_PROOFS
from sealwright.trust.routes import MissingScopesError

Headers = list[tuple[bytes, bytes]]
WANTED_STATUS = b"x-auth-status"
_NOT_KEPT = (b"cache-control", b"no-store")
_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 §3.3
_PROOF_STAGE = "binding."


class Refusals:
    """400, 401, 403 and 503 by ``bearer.status``, each with its challenge (RFC 6750 §3).

    The challenges are in one header, since nginx passes one on: Bearer, and with ``dpop`` DPoP too (RFC 9449 §7.1),
    which says what is wrong with a proof; all else is said by Bearer. ``for_nginx`` turns 400, which nginx takes for a
    fault of the verifier, into 403, and says in a header what the client should get.
    """

    def __init__(self, realm: str, *, dpop: bool = False, for_nginx: bool = False) -> None:
        self._realm, self._for_nginx = realm, for_nginx
        self._algorithms = ALGORITHMS_OF_PROOFS if dpop else frozenset[str]()

    def of(self, decision: Decision) -> tuple[int, Headers]:
        error = decision.error or UnavailableError(Reason.SOURCE_UNAVAILABLE, "the token could not be checked")
        status = bearer.status(error)
        if status == 503:
            return status, [_NOT_KEPT, (b"retry-after", str(RETRY_AFTER_S).encode())]
        headers = [_NOT_KEPT, (b"www-authenticate", self._challenges(error).encode("latin-1"))]
        headers += [(name.lower().encode(), value.encode()) for name, value in bearer.nonce_headers(error).items()]
        if status == 400 and self._for_nginx:
            return 403, [*headers, (WANTED_STATUS, b"400")]
        return status, headers

    def _challenges(self, error: SealwrightError) -> str:
        scope = _shown(error) if isinstance(error, MissingScopesError) else None
        return ", ".join(
            bearer.challenges(
                error,
                realm=self._realm,
                algorithms=self._algorithms,
                by_proof=bool(self._algorithms) and error.reason.startswith(_PROOF_STAGE),
                scope=scope,
            )
        )


def _shown(error: MissingScopesError) -> str | None:
    """What the route needs, where a challenge can say it."""
    needed = " ".join(sorted(error.scopes))
    return needed if _SCOPES.fullmatch(needed) else None
