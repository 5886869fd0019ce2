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
_ZEROS, _BLANKS = (0,) * len(_TIMES), ("",) * len(_TEXTS)
_NUMBERS, _TEXT = frozenset({int, float}), frozenset({str})  # what JSON gives; the rest is looked at more closely


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
        if self.required and not self.required <= claims.keys():
            missing = sorted(self.required - claims.keys())
            raise RejectedError(Reason.CLAIMS_MISSING, f"the token lacks required claims: {', '.join(missing)}")
        check_scopes(claims, self.scopes)

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        if self.issuer is not None and claims.get("iss") != self.issuer:
            raise RejectedError(Reason.CLAIMS_ISSUER, "the token is from another issuer")
        if self.audiences is not None and self.audiences.isdisjoint(audience_of(claims)):
            raise RejectedError(Reason.CLAIMS_AUDIENCE, "the token is for another audience")

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        expires, starts, issued = map(claims.get, _TIMES)
        latest = now + self.leeway_s
        if expires is None:
            if self.require_expiry:
                raise RejectedError(Reason.CLAIMS_MISSING, 'the token has no "exp" claim')
        elif now - self.leeway_s >= expires:
            raise RejectedError(Reason.CLAIMS_EXPIRED, "the token has expired")
        if starts is not None and latest < starts:
            raise RejectedError(Reason.CLAIMS_NOT_YET_VALID, "the token is not valid yet")
        if issued is not None and latest < issued:
            raise RejectedError(Reason.CLAIMS_ISSUED_IN_FUTURE, "the token was issued in the future")
        if self.maximum_age_s is not None or self.maximum_lifetime_s is not None:
            self._check_age(expires, issued, now)

    def _check_age(self, expires: float | None, issued: float | None, now: float) -> None:
        if issued is None:
            raise RejectedError(Reason.CLAIMS_MISSING, 'the token has no "iat" claim')
        if self.maximum_age_s is not None and now > issued + self.maximum_age_s + self.leeway_s:
            raise RejectedError(Reason.CLAIMS_TOO_OLD, "the token was issued too long ago")
        if self.maximum_lifetime_s is not None and (expires is None or expires - issued > self.maximum_lifetime_s):
            raise RejectedError(Reason.CLAIMS_LIFETIME, "the token lives longer than is allowed here")


def check_types(claims: Mapping[str, Any]) -> None:
    """A registered claim of the wrong type is a rejection, never an absence (CVE-2026-25537)."""
    times = tuple(map(claims.get, _TIMES, _ZEROS))
    if not _NUMBERS.issuperset(map(type, times)) and not all(map(_is_number, times)):
        raise RejectedError(Reason.CLAIMS_WRONG_TYPE, 'one of the claims "exp", "nbf", "iat" is not a number')
    if min(times) < -_LARGEST_TIME or max(times) > _LARGEST_TIME:
        raise RejectedError(Reason.CLAIMS_MALFORMED, 'one of the claims "exp", "nbf", "iat" is not a date')
    texts = tuple(map(claims.get, _TEXTS, _BLANKS))
    if not _TEXT.issuperset(map(type, texts)) and not all(isinstance(text, str) for text in texts):
        raise RejectedError(Reason.CLAIMS_WRONG_TYPE, f"one of the claims {', '.join(_TEXTS)} is not text")
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
    if needed and (missing := sorted(needed.difference(claims.get("scope", "").split()))):
        raise RejectedError(Reason.CLAIMS_SCOPE, f"the token lacks the scope: {' '.join(missing)}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
