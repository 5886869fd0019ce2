"""Refusal: the answer to a request that is not let in. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

from sealwright.errors import SealwrightError
from sealwright.trust import bearer
from sealwright.trust.binding import JKT, Binding
from sealwright.trust.verifier import Verifier

RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why is told to the observer of the verifier; a stranger learns what RFC 6750 lets a challenge say."""

    status: int
    headers: tuple[tuple[str, str], ...]

    @property
    def phrase(self) -> str:
        return HTTPStatus(self.status).phrase

    @property
    def body(self) -> bytes:
        """A problem (RFC 9457) that says no more than its status."""
        return json.dumps({"title": self.phrase, "status": self.status}).encode()

    @property
    def lines(self) -> list[tuple[str, str]]:
        """All headers of an answer with ``body``."""
        described = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(self.body)))]
        return [*self.headers, *described]


class Refusals:
    """Makes the answers of one verifier. Raises ConfigurationError ``settings.invalid`` for a realm with quotes."""

    def __init__(self, verifier: Verifier, realm: str) -> None:
        bindings = [one.binding for one in verifier.issuers]
        rules = [one.dpop for one in bindings if isinstance(one, Binding) and one.dpop is not None]
        self.algorithms = frozenset[str]().union(*(one.algorithms for one in rules))  # of DPoP proofs, if any are taken
        self._takes_bearer = any(not isinstance(one, Binding) or one.one_of_required != {JKT} for one in bindings)
        self._realm = realm
        bearer.challenge(None, realm=realm)

    def of(self, error: SealwrightError, authorization: str | None, scopes: frozenset[str]) -> Refusal:
        """The answer to a request whose token needs ``scopes``."""
        status = bearer.status(error)
        headers = [("Cache-Control", "no-store")]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return Refusal(status, (*headers, ("Retry-After", str(RETRY_AFTER_S))))
        # The error belongs to the scheme that was used.
        by_proof = bool(self.algorithms) and (bearer.scheme_of(authorization) == "dpop" or not self._takes_bearer)
        challenges = bearer.challenges(
            error,
            realm=self._realm,
            algorithms=self.algorithms,
            by_proof=by_proof,
            takes_bearer=self._takes_bearer,
            scope=" ".join(sorted(scopes)) or None,
        )
        headers += [("WWW-Authenticate", challenge) for challenge in challenges]
        return Refusal(status, (*headers, *bearer.nonce_headers(error).items()))
