"""Security events: what the key service tells its verifiers at once, as Security Event Tokens (RFC 8417). Pure.

An event is a hint to fetch again, from the addresses that are configured, and is never believed for what it says: a
lost, repeated or late one does no harm. It has neither "exp" nor "sub" (RFC 8417 §2.2), so it cannot pass as a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealwright.errors import Reason, RejectedError

TYP = "secevent+jwt"
KEYS_CHANGED = "urn:sealwright:event:keys-changed"


@dataclass(frozen=True, slots=True)
class KeysChanged:
    """The keys or the revocations of an issuer are new as of a sequence."""

    issuer: str
    sequence: int


def event_claims(event: KeysChanged, *, transmitter: str, audience: str, token_id: str, now: float) -> dict[str, Any]:
    """The claims of an event of ``transmitter``, the key service, to one verifier."""
    facts = {KEYS_CHANGED: {"issuer": event.issuer, "seq": event.sequence}}
    return {"iss": transmitter, "aud": audience, "iat": int(now), "jti": token_id, "events": facts}


def parse_event(claims: Mapping[str, Any]) -> KeysChanged:
    """The event in the claims of a verified token. Raises RejectedError ``statement.malformed`` for any other."""
    events = claims.get("events")
    facts = events.get(KEYS_CHANGED) if isinstance(events, dict) and len(events) == 1 else None
    if not isinstance(facts, dict) or "exp" in claims or "sub" in claims:
        raise RejectedError(Reason.STATEMENT_MALFORMED, "this is no event about keys")
    issuer, sequence = facts.get("issuer"), facts.get("seq")
    if not isinstance(issuer, str) or type(sequence) is not int or sequence < 0:
        raise RejectedError(Reason.STATEMENT_MALFORMED, "the event lacks its issuer or its sequence")
    return KeysChanged(issuer, sequence)
