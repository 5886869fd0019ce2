"""IncomingEvents: the security event tokens of a poll, each proven before it counts, and what is answered to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealwright.errors import Reason, RejectedError, UnavailableError
from sealwright.statements.security_events import TYP, KeysChanged, parse_event
from sealwright.trust.trust_root import TrustRoot

_MOST_REMEMBERED = 1024
_ERRORS = {  # RFC 8935 §2.4, which RFC 8936 §2.6 uses too
    Reason.CLAIMS_ISSUER: "invalid_issuer",
    Reason.CLAIMS_AUDIENCE: "invalid_audience",
    Reason.SIGNATURE_INVALID: "authentication_failed",
    Reason.KEY_NOT_FOUND: "invalid_key",
}


class IncomingEvents:
    """For one thread. ``transmitter`` is the base URL of the key service, ``receiver`` the name of this verifier."""

    def __init__(self, root: TrustRoot, *, transmitter: str, receiver: str) -> None:
        self._root, self._transmitter, self._receiver = root, transmitter, receiver
        self._known: dict[str, KeysChanged | Reason] = {}  # by jti: what it said, or why it does not count
        self._answers: dict[str, Reason | None] = {}
        self.good = self.refused = 0

    def take(self, sets: Mapping[str, str]) -> list[KeysChanged]:
        """The events among these. One that comes again is a hint again, and is counted once."""
        found = []
        for token_id, token in sets.items():
            known = self._known.get(token_id) or self._looked_at(token_id, token)
            if isinstance(known, KeysChanged):
                found.append(known)
            if known is not None:
                self._known[token_id] = known
                self._answers[token_id] = known if isinstance(known, Reason) else None
        self._known = dict(list(self._known.items())[-_MOST_REMEMBERED:])
        return found

    def answers(self) -> dict[str, Any]:
        """The members "ack" and "setErrs" of the next poll (RFC 8936 §2.4)."""
        refused = {token_id: reason for token_id, reason in self._answers.items() if reason is not None}
        errors = {
            token_id: {"err": _ERRORS.get(reason, "invalid_request"), "description": str(reason)}
            for token_id, reason in refused.items()
        }
        return {"ack": [token_id for token_id, reason in self._answers.items() if reason is None], "setErrs": errors}

    def answered(self) -> None:
        """The service has read the answers."""
        self._answers.clear()

    def _looked_at(self, token_id: str, token: str) -> KeysChanged | Reason | None:
        try:
            event = self._checked(token_id, token)
        except UnavailableError:
            return None  # the pinned root cannot be read: neither good nor bad, so it comes again
        except RejectedError as error:
            self.refused += 1
            return error.reason
        self.good += 1
        return event

    def _checked(self, token_id: str, token: str) -> KeysChanged:
        claims = self._root.claims_of(token, TYP)
        if claims.get("iss") != self._transmitter:
            raise RejectedError(Reason.CLAIMS_ISSUER, "the event is from another service")
        audience = claims.get("aud")
        if self._receiver not in (audience if isinstance(audience, list) else [audience]):
            raise RejectedError(Reason.CLAIMS_AUDIENCE, "the event is for another verifier")
        if claims.get("jti") != token_id:
            raise RejectedError(Reason.STATEMENT_MALFORMED, "the event came under another name than its own")
        return parse_event(claims)
