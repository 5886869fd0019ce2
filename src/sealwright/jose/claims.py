"""Claims, and ClaimRules.check(claims, now): RFC 7519 §4.1 with nothing optional left to chance. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sealwright.errors import Reason, RejectedError

MAXIMUM_LEEWAY_S = 120.0
_TIMES = ("exp", "nbf", "iat")
_ROUNDING_S = 0.001
_LARGEST_TIME = 2**53  # an integer of JSON may be too large to be added to a float
MAXIMUM_ACTORS = 4
_ACTOR_TEXTS = ("iss", "sub", "client_id")  # who the actor is; no other claim means anything there
_TEXTS = ("iss", "sub", "jti", "scope", "client_id")
REGISTERED_CLAIMS = (*_TIMES, *_TEXTS, "aud")
_TIME_NAMES = frozenset(_TIMES)


class ClaimCheck(NamedTuple):
    """One more rule over claims: its name, what it expects in words, and a function that raises RejectedError."""

    name: str
    expects: str
    check: Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the claims of one issuer's tokens must say. Times in seconds.

    ``issuer`` and ``audiences`` None mean that somebody chose, in so many words, to ignore them. ``further`` rules
    come last.
    """

    issuer: str | None
    audiences: frozenset[str] | None
    leeway_s: float = 60.0
    require_expiry: bool = True
    maximum_age_s: float | None = None
    maximum_lifetime_s: float | None = None
    required: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    maximum_actors: int = MAXIMUM_ACTORS
    forbidden: frozenset[str] = frozenset()
    further: tuple[ClaimCheck, ...] = ()
    ordinary: bool = field(init=False, repr=False)
    any_names: bool = field(init=False, repr=False)  # no claim is required and none forbidden

    def __post_init__(self) -> None:
        ages = self.maximum_age_s, self.maximum_lifetime_s
        ordinary = (
            ages == (None, None) and None not in (self.issuer, self.audiences) and not self.scopes and not self.further
        )
        object.__setattr__(self, "any_names", not self.required | self.forbidden)
        object.__setattr__(self, "ordinary", ordinary)

    def check(self, claims: Mapping[str, Any], now: float) -> None:
        """Raises RejectedError ``claims.*`` at the first rule that does not hold."""
        get = claims.get
        expires, starts, issued, audience = get("exp"), get("nbf", 0), get("iat", 0), get("aud")
        if (  # the claims that most tokens have; whatever differs is looked at rule by rule
            self.ordinary
            and type(expires) is type(starts) is type(issued) is int
            and now - self.leeway_s < expires <= _LARGEST_TIME
            and 0 <= starts <= now + self.leeway_s >= issued >= 0
            and type(audience) is type(get("sub", "")) is type(get("jti", "")) is str
            and type(get("scope", "")) is type(get("client_id", "")) is str
            and audience in self.audiences  # type: ignore[operator]
            and get("iss") == self.issuer
            and "act" not in claims
            and (self.any_names or (self.required <= claims.keys() and self.forbidden.isdisjoint(claims)))
        ):
            return
        self._check_each(claims, now)

    def window(self, claims: Mapping[str, Any]) -> tuple[float, float]:
        """From when until when, by their times, claims that hold now hold: within ``check``, whatever floats round."""
        get = claims.get
        issued, ends = get("iat", -math.inf), get("exp", math.inf)
        if self.maximum_age_s is not None:
            ends = min(ends, issued + self.maximum_age_s)
        since = max(get("nbf", -math.inf), issued) - self.leeway_s
        return since + _ROUNDING_S, ends + self.leeway_s - _ROUNDING_S

    def _check_each(self, claims: Mapping[str, Any], now: float) -> None:
        for _, check in CLAIM_CHECKS:
            check(self, claims, now)
        for one in self.further:
            one.check(claims)

    def check_types(self, claims: Mapping[str, Any], _: float) -> None:
        check_types(claims)

    def check_issuer(self, claims: Mapping[str, Any], _: float) -> None:
        if self.issuer is not None and claims.get("iss") != self.issuer:
            raise RejectedError(Reason.CLAIMS_ISSUER, "the token is from another issuer")

    def check_audience(self, claims: Mapping[str, Any], _: float) -> None:
        if self.audiences is not None and self.audiences.isdisjoint(audience_of(claims)):
            raise RejectedError(Reason.CLAIMS_AUDIENCE, "the token is for another audience")

    def check_expiry(self, claims: Mapping[str, Any], now: float) -> None:
        expires = claims.get("exp")
        if expires is None and self.require_expiry:
            raise RejectedError(Reason.CLAIMS_MISSING, 'the token has no "exp" claim')
        if expires is not None and now - self.leeway_s >= expires:
            raise RejectedError(Reason.CLAIMS_EXPIRED, "the token has expired")

    def check_start(self, claims: Mapping[str, Any], now: float) -> None:
        if claims.get("nbf", -math.inf) > now + self.leeway_s:
            raise RejectedError(Reason.CLAIMS_NOT_YET_VALID, "the token is not valid yet")

    def check_age(self, claims: Mapping[str, Any], now: float) -> None:
        expires, issued = claims.get("exp"), claims.get("iat")
        if issued is None:
            if self.maximum_age_s is not None or self.maximum_lifetime_s is not None:
                raise RejectedError(Reason.CLAIMS_MISSING, 'the token has no "iat" claim')
            return
        if now + self.leeway_s < issued:
            raise RejectedError(Reason.CLAIMS_ISSUED_IN_FUTURE, "the token was issued in the future")
        if self.maximum_age_s is not None and now > issued + self.maximum_age_s + self.leeway_s:
            raise RejectedError(Reason.CLAIMS_TOO_OLD, "the token was issued too long ago")
        if self.maximum_lifetime_s is not None and (expires is None or expires - issued > self.maximum_lifetime_s):
            raise RejectedError(Reason.CLAIMS_LIFETIME, "the token lives longer than is allowed here")

    def check_required(self, claims: Mapping[str, Any], _: float) -> None:
        if not self.required <= claims.keys():
            missing = sorted(self.required - claims.keys())
            raise RejectedError(Reason.CLAIMS_MISSING, f"the token lacks required claims: {', '.join(missing)}")

    def check_forbidden(self, claims: Mapping[str, Any], _: float) -> None:
        if present := sorted(self.forbidden & claims.keys()):
            raise RejectedError(Reason.CLAIMS_FORBIDDEN, f"claims that tokens here must not have: {', '.join(present)}")

    def check_actors(self, claims: Mapping[str, Any], _: float) -> None:
        if "act" in claims and len(actors_of(claims, self.maximum_actors + 1)) > self.maximum_actors:
            raise RejectedError(Reason.CLAIMS_ACTOR, "more actors than are allowed here")

    def check_own_scopes(self, claims: Mapping[str, Any], _: float) -> None:
        check_scopes(claims, self.scopes)


def check_types(claims: Mapping[str, Any]) -> None:
    """A registered claim of the wrong type is a rejection, never an absence (CVE-2026-25537)."""
    get = claims.get
    if (  # none of them, or each as most tokens have it
        type(get("sub", "")) is type(get("scope", "")) is type(get("iss", "")) is type(get("aud", "")) is str
        and type(get("jti", "")) is type(get("client_id", "")) is str
        and _TIME_NAMES.isdisjoint(claims)
    ):
        return
    for name in _TIMES:
        value = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RejectedError(Reason.CLAIMS_WRONG_TYPE, f'the claim "{name}" is not a number')
        if not -_LARGEST_TIME <= value <= _LARGEST_TIME:
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


def actors_of(claims: Mapping[str, Any], most: int = MAXIMUM_ACTORS) -> tuple[Mapping[str, Any], ...]:
    """Who acts for the subject, the current actor first, ``most`` of them at most; those behind are history.

    RFC 8693 §4.1: only the current actor and the claims of the token itself count for a decision. Raises RejectedError
    ``claims.actor`` for an "act" claim that is no object, or whose names are no text.
    """
    found: list[Mapping[str, Any]] = []
    inner: Any = claims
    while "act" in inner and len(found) < most:
        inner = inner["act"]
        if not isinstance(inner, dict) or not all(isinstance(inner.get(name, ""), str) for name in _ACTOR_TEXTS):
            raise RejectedError(Reason.CLAIMS_ACTOR, 'the claim "act" is not an actor')
        found.append(inner)
    return tuple(found)


def check_scopes(claims: Mapping[str, Any], needed: frozenset[str]) -> None:
    """Every scope in ``needed`` must be in the space-separated "scope" claim (RFC 8693 §4.2)."""
    if missing := sorted(needed.difference(claims.get("scope", "").split())):
        raise RejectedError(Reason.CLAIMS_SCOPE, f"the token lacks the scope: {' '.join(missing)}")


CLAIM_CHECKS: tuple[tuple[str, Callable[[ClaimRules, Mapping[str, Any], float], None]], ...] = (
    ("claim types", ClaimRules.check_types),
    ("issuer", ClaimRules.check_issuer),
    ("audience", ClaimRules.check_audience),
    ("expiry", ClaimRules.check_expiry),
    ("start", ClaimRules.check_start),
    ("age", ClaimRules.check_age),
    ("required claims", ClaimRules.check_required),
    ("forbidden claims", ClaimRules.check_forbidden),
    ("actors", ClaimRules.check_actors),
    ("scopes", ClaimRules.check_own_scopes),
)
