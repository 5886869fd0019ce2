"""IntrospectionCheck: asks the issuer whether a token is active, and keeps the answer for a short time (RFC 7662)."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.events import Observer, TokenStatusAsked, TokenStatusChecked, tell
from sealwright.jose import strict_json
from sealwright.jose.claims import audience_of, check_types
from sealwright.trust.answers import Answers, Ask, Kept, Looked
from sealwright.trust.sources.bounded_get import BoundedGet
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.trust.status_list import OnFailure
from sealwright.trust.token_check import Proven

LONGEST_POSITIVE_S = 60.0
_HEADERS = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Introspected:
    """What the issuer says about a token; "iss", "aud" and "exp" where it says them."""

    active: bool
    issuer: str | None = None
    audiences: frozenset[str] | None = None
    expires_at: float | None = None

    def is_about(self, claims: Mapping[str, Any]) -> bool:
        """Whether the answer agrees with the token that was asked about."""
        own = frozenset(audience_of(claims)) if "aud" in claims else None
        return (
            self.issuer in (None, claims.get("iss"))
            and self.expires_at in (None, claims.get("exp"))
            and (self.audiences is None or own is None or bool(self.audiences & own))
        )


def parse_answer(body: bytes) -> Introspected:
    """Raises RejectedError ``json.*``, ``claims.*`` or ``statement.malformed``."""
    members = strict_json.parse_object(body)
    active = members.get("active")
    if not isinstance(active, bool):
        raise RejectedError(Reason.STATEMENT_MALFORMED, "an introspection answer says whether the token is active")
    if not active:
        return Introspected(False)
    check_types(members)
    audiences = frozenset(audience_of(members)) if "aud" in members else None
    return Introspected(True, members.get("iss"), audiences, members.get("exp"))


class IntrospectionCheck:
    """Asks one endpoint of one issuer, with the bearer token that ``credential`` gives.

    An active token is so for ``positive_s``, 60 at most, and never beyond its expiry; an inactive one for
    ``negative_s``. ``on_failure`` "accept" lets tokens through while the endpoint cannot be asked. Times in seconds.
    Raises ConfigurationError ``settings.invalid``.
    """

    name = "introspection"
    reads_only = True
    expects = "a token that its issuer calls active"

    def __init__(
        self,
        endpoint: str,
        credential: Callable[[], str],
        *,
        on_failure: OnFailure = "undecided",
        positive_s: float = LONGEST_POSITIVE_S,
        negative_s: float = 5.0,
        timeout_s: float = 5.0,
        maximum_answers: int = 10_000,
        maximum_flights: int = 32,
        label: str = "unknown",
        tls: ssl.SSLContext | None = None,
        observer: Observer | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not 0 <= positive_s <= LONGEST_POSITIVE_S or negative_s < 0:
            message = f"an introspection answer is kept for {LONGEST_POSITIVE_S:g} s at most"
            raise ConfigurationError(Reason.SETTINGS_INVALID, message)
        self._address, self._credential, self._on_failure = KeyAddress.parse(endpoint), credential, on_failure
        self._positive_s, self._negative_s, self._timeout_s = positive_s, negative_s, timeout_s
        self._label, self._tls, self._observer, self._clock = label, tls, observer, clock
        self._answers: Answers[Introspected] = Answers(
            timeout_s=timeout_s + 1,
            most=maximum_answers,
            most_flights=maximum_flights,
            clock=clock,
            asked=self._asked,
        )

    def check(self, seen: Proven, now: float) -> None:
        self._conclude(seen, now, self._answers.get(_key(seen.token), self._ask(seen.token)))

    async def acheck(self, seen: Proven, now: float) -> None:
        self._conclude(seen, now, await self._answers.aget(_key(seen.token), self._ask(seen.token)))

    def _conclude(self, seen: Proven, now: float, looked: Looked[Introspected] | UnavailableError) -> None:
        if isinstance(looked, UnavailableError):
            accept = self._on_failure == "accept"
            self._tell("let_through" if accept else "undecided", None)
            if accept:
                return
            message = "the token's issuer could not be asked about it"
            raise UnavailableError(Reason.REVOCATION_UNAVAILABLE, message, detail=looked.message) from looked
        said = looked.value
        over = said.expires_at is not None and said.expires_at + seen.policy.leeway_s <= now
        active = said.active and not over and said.is_about(seen.claims)
        self._tell("valid" if active else "inactive", looked)
        if not said.active or over:
            raise RejectedError(Reason.TOKEN_INACTIVE, "the token's issuer says that it is not active")
        if not active:
            raise RejectedError(Reason.TOKEN_INACTIVE, "the token's issuer answered about another token")

    def _ask(self, token: str | bytes) -> Ask[Introspected]:
        def ask(_: Kept[Introspected] | None) -> Kept[Introspected]:
            if self._tls is None and self._address.scheme == "https":
                self._tls = ssl.create_default_context()
            form = urlencode({"token": token, "token_type_hint": "access_token"}).encode("ascii")
            headers = {**_HEADERS, "Authorization": f"Bearer {self._credential()}"}
            answer = BoundedGet(self._address, self._tls, form).get(headers, self._timeout_s)
            if answer.status != 200:
                message = f"the introspection endpoint answered with HTTP status {answer.status}"
                raise UnavailableError(Reason.SOURCE_UNAVAILABLE, message)
            try:
                return self._kept(parse_answer(answer.body))
            except RejectedError as error:
                raise UnavailableError(
                    error.reason, f"the introspection answer cannot be used: {error.message}"
                ) from error

        return ask

    def _kept(self, said: Introspected) -> Kept[Introspected]:
        at, kept_s = self._clock.monotonic(), self._positive_s if said.active else self._negative_s
        if said.expires_at is not None:
            kept_s = max(0.0, min(kept_s, said.expires_at - self._clock.now()))
        return Kept(said, at, at + kept_s, at + kept_s)

    def _asked(self, duration_s: float, reason: Reason | None) -> None:
        tell(self._observer, TokenStatusAsked("introspection", self._label, duration_s, reason))

    def _tell(self, outcome: str, looked: Looked[Introspected] | None) -> None:
        if self._observer is not None:
            cached, age_s = (False, None) if looked is None else (looked.cached, looked.age_s)
            tell(self._observer, TokenStatusChecked("introspection", self._label, outcome, cached, age_s))  # type: ignore[arg-type]


def _key(token: str | bytes) -> bytes:
    """Of the token itself nothing is kept."""
    return hashlib.sha256(token.encode() if isinstance(token, str) else token).digest()
