"""What can be asked about single tokens, in JSON terms: revoke, suspend, restore, introspect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.jose.claims import audience_of
from sealwright.keys.rehearsal import is_rehearsal
from sealwright.keys.token_status import NAMES, TokenStatus
from sealwright.keys.token_statuses import Verb
from sealwright.services.key_service.signing_operations import refuse_internal
from sealwright.services.key_service.times import written
from sealwright.statements.revoked_keys import token_digest
from sealwright.wiring.single_process import SingleProcess

LATEST_S = 366 * 86_400.0
# RFC 7662 §2.2, RFC 8705 §3.2, RFC 8693 §4.1: what an active token says is told, nothing else of it.
_TOLD = ("scope", "client_id", "sub", "aud", "iss", "exp", "iat", "nbf", "jti", "cnf", "act")
_INACTIVE = {"active": False}


class TokenOperations:
    """Every method answers JSON-ready data, and what it changes is audited under the name of the actor."""

    def __init__(self, process: SingleProcess, actor: str) -> None:
        self._process = process
        self._actor = actor

    def change(
        self,
        verb: Verb,
        issuer: str,
        *,
        reason: str,
        token: str | None = None,
        jti: str | None = None,
        expires_at: float | None = None,
    ) -> dict[str, Any]:
        """revoke, suspend or restore one token: itself, or its "jti" and when it expires.

        Without ``expires_at``, in seconds since the epoch, a jti counts for as long as a token issued now may live.
        Raises RejectedError for a token that is not acceptable, and as ``TokenStatuses.change``.
        """
        self._check_issuer(issuer)
        if (token is None) == (jti is None) or (token is not None and expires_at is not None):
            raise RejectedError(Reason.REQUEST_MALFORMED, "give either the token, or its jti and when it expires")
        if token is not None:
            claims = self._process.reader(issuer, marked=True).verify(token).claims
            return self._change(verb, issuer, claims.get("jti"), claims["exp"], reason)
        return self._change(verb, issuer, jti, self._until(issuer, expires_at), reason)

    def withdraw(self, issuer: str, token: str, only_of: str | None = None) -> None:
        """Revoke a token whose holder is done with it (RFC 7009): one that is not acceptable is no error, nor is one
        that was not issued to the client ``only_of``.
        """
        self._check_issuer(issuer)
        decision = self._process.reader(issuer, marked=True).decide(token)
        if decision.outcome == "undecided":
            assert decision.error is not None
            raise decision.error
        claims = {} if decision.verified is None else decision.verified.claims
        if claims and only_of in (None, claims.get("client_id")):
            self._change("revoke", issuer, claims.get("jti"), claims["exp"], "withdrawn (RFC 7009)")

    def marked(self, issuer: str) -> dict[str, Any]:
        """Tokens that are revoked or suspended, until they have expired; the soonest first."""
        self._check_issuer(issuer)
        tokens = sorted(self._process.tokens.marked(issuer), key=lambda token: (token.expires_at, token.digest))
        return {"tokens": [_view(token) for token in tokens]}

    async def introspect(self, issuer: str, token: str) -> dict[str, Any]:
        """The answer of RFC 7662 §2.2. Raises UnavailableError where it cannot be known."""
        self._check_issuer(issuer)
        decision = await self._process.reader(issuer).adecide(token)
        if isinstance(decision.error, UnavailableError):
            raise decision.error
        if decision.verified is None or any(is_rehearsal(one) for one in audience_of(decision.verified.claims)):
            return dict(_INACTIVE)
        return _active(decision.verified.claims)

    def signed_answer(self, issuer: str, answer: Mapping[str, Any], audience: str) -> dict[str, Any]:
        """The claims of an answer that is signed (RFC 9701 §5): never "sub" or "exp", so that it is no token."""
        times = {"iat": int(self._process.clock.now())}
        return {"iss": self._process.issuer_url(issuer), "aud": audience, **times, "token_introspection": answer}

    def _change(self, verb: Verb, issuer: str, jti: str | None, expires_at: float, reason: str) -> dict[str, Any]:
        if jti is None:
            message = "the token has no jti to name it by: wait for it to expire, or revoke its key"
            raise RejectedError(Reason.CLAIMS_MISSING, message)
        digest, actor = token_digest(jti), self._actor
        return _view(
            self._process.tokens.change(verb, issuer, digest, expires_at=expires_at, actor=actor, reason=reason)
        )

    def _check_issuer(self, issuer: str) -> None:
        refuse_internal(issuer)
        self._process.publications.issuer(issuer)

    def _until(self, issuer: str, expires_at: float | None) -> float:
        now, timings = self._process.clock.now(), self._process.policies.of(issuer).timings
        if expires_at is None:
            return now + timings.longest_token_s
        if not now - timings.leeway_s <= expires_at <= now + LATEST_S:
            raise RejectedError(Reason.REQUEST_MALFORMED, "expires_at is Unix time, not past, within a year")
        return expires_at


def _active(claims: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: claims[name] for name in _TOLD if name in claims}
    bound = isinstance(claims.get("cnf"), dict) and "jkt" in claims["cnf"]
    return {"active": True, "token_type": "DPoP" if bound else "Bearer", **told}


def _view(token: TokenStatus) -> dict[str, Any]:
    place = {} if token.place is None else {"list": token.list_id, "index": token.place}
    facts = {"issuer": token.issuer, "token": token.digest, "status": NAMES[token.status]}
    return {**facts, "expires_at": written(token.expires_at), **place}
