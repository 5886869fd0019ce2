"""Claims, and ClaimRules.check(claims, now): RFC 7519 §4.1 with nothing optional left to chance. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealwright.errors import Reason, RejectedError

MAXIMUM_LEEWAY_S = 120.0
_TIMES = ("exp", "nbf", "iat")
_LARGEST_TIME = 2**53  # an integer of JSON may be too large to be added to a float
_TEXTS = ("iss", "sub", "jti", "scope", "client_id")


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the claims of one issuer's tokens must say. Times in seconds.

    ``issuer`` and ``audiences`` None mean that somebody chose, in so many words, to ignore them.
    """

    issuer: str | None
    audiences: frozenset[str] | None
    leeway_s: float = 60.0
    require_expiry: bool = True
    maximum_age_s: float | None = None
    maximum_lifetime_s: float | None = None
    required: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()

    def check(self, claims: Mapping[str, Any], now: float) -> None:
        """Raises RejectedError ``claims.*`` at the first rule that does not hold."""
        check_types(claims)
        self._check_parties(claims)
        self._check_times(claims, now)
        missing = sorted(self.required - claims.keys())
        if missing:
            raise RejectedError(Reason.CLAIMS_MISSING, f"the token lacks required claims: {', '.join(missing)}")
        check_scopes(claims, self.scopes)

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        if self.issuer is not None and claims.get("iss") != self.issuer:
            raise RejectedError(Reason.CLAIMS_ISSUER, "the token is from another issuer")
        if self.audiences is not None and not self.audiences.intersection(audience_of(claims)):
            raise RejectedError(Reason.CLAIMS_AUDIENCE, "the token is for another audience")

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        expires, starts, issued = (claims.get(name) for name in _TIMES)
        if expires is None and self.require_expiry:
            raise RejectedError(Reason.CLAIMS_MISSING, 'the token has no "exp" claim')
        if expires is not None and now >= expires + self.leeway_s:
            raise RejectedError(Reason.CLAIMS_EXPIRED, "the token has expired")
        if starts is not None and now < starts - self.leeway_s:
            raise RejectedError(Reason.CLAIMS_NOT_YET_VALID, "the token is not valid yet")
        if issued is not None and now < issued - self.leeway_s:
            raise RejectedError(Reason.CLAIMS_ISSUED_IN_FUTURE, "the token was issued in the future")
        self._check_age(expires, issued, now)

    def _check_age(self, expires: float | None, issued: float | None, now: float) -> None:
        if self.maximum_age_s is None and self.maximum_lifetime_s is None:
            return
        if issued is None:
            raise RejectedError(Reason.CLAIMS_MISSING, 'the token has no "iat" claim')
        if self.maximum_age_s is not None and now > issued + self.maximum_age_s + self.leeway_s:
            raise RejectedError(Reason.CLAIMS_TOO_OLD, "the token was issued too long ago")
        if self.maximum_lifetime_s is not None and (expires is None or expires - issued > self.maximum_lifetime_s):
            raise RejectedError(Reason.CLAIMS_LIFETIME, "the token lives longer than is allowed here")


def check_types(claims: Mapping[str, Any]) -> None:
    """A registered claim of the wrong type is a rejection, never an absence (CVE-2026-25537)."""
    for name in _TIMES:
        value = claims.get(name)
        if name in claims and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RejectedError(Reason.CLAIMS_WRONG_TYPE, f'the claim "{name}" is not a number')
        if value is not None and abs(value) > _LARGEST_TIME:
            raise RejectedError(Reason.CLAIMS_MALFORMED, f'the claim "{name}" is not a date')
    for name in _TEXTS:
        if not isinstance(claims.get(name, ""), str):
            raise RejectedError(Reason.CLAIMS_WRONG_TYPE, f'the claim "{name}" is not text')
    audience_of(claims)


def audience_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The "aud" claim as a tuple; RFC 7519 §4.1.3 allows one text or a list of texts."""
    value = claims.get("aud", ())
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise RejectedError(Reason.CLAIMS_WRONG_TYPE, 'the claim "aud" is neither text nor a list of texts')
    return tuple(value)


def check_scopes(claims: Mapping[str, Any], needed: frozenset[str]) -> None:
    """Every scope in ``needed`` must be in the space-separated "scope" claim (RFC 8693 §4.2)."""
    missing = sorted(needed.difference(claims.get("scope", "").split()))
    if missing:
        raise RejectedError(Reason.CLAIMS_SCOPE, f"the token lacks the scope: {' '.join(missing)}")
