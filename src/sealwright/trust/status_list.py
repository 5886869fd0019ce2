"""StatusListCheck: a token with a place in a status list must be valid there (draft-ietf-oauth-status-list-21)."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from typing import Literal

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.events import Observer, TokenStatusAsked, TokenStatusChecked, tell
from sealwright.jose import compact
from sealwright.jose.jwk import PublicJWK
from sealwright.jose.verification import check_signature
from sealwright.statements.status_list import (
    INVALID,
    MAXIMUM_INFLATED_BYTES,
    MEDIA_TYPE,
    SUSPENDED,
    TYP,
    VALID,
    Reference,
    Statement,
    parse_reference,
    parse_statement,
)
from sealwright.trust.answers import Answers, Ask, Kept, Looked
from sealwright.trust.key_source import KeySource
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.revocation import RevocationList
from sealwright.trust.sources.bounded_get import MAXIMUM_BODY_BYTES, Answer, BoundedGet
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.trust.token_check import Proven

OnFailure = Literal["undecided", "accept"]
_AHEAD = 0.8  # of the time for which a list is fresh
_REFUSED = {
    INVALID: ("revoked", Reason.TOKEN_REVOKED, "the token has been revoked"),
    SUSPENDED: ("suspended", Reason.TOKEN_SUSPENDED, "the token has been suspended"),
}
_UNKNOWN = ("inactive", Reason.TOKEN_INACTIVE, "the token has a status that is not known here")


class StatusListCheck:
    """Reads lists below ``prefixes``, signed by keys of ``source``; those of one issuer, which is whose check it is.

    A list is fresh for its "ttl", and after a failure usable for ``usable_s`` since it was fetched, never beyond its
    "exp". ``required`` refuses a token that names no list. ``on_failure`` "accept" lets tokens through that cannot be
    looked up. Times in seconds. Raises ConfigurationError ``settings.invalid``.
    """

    name = "status list"
    reads_only = True

    def __init__(
        self,
        source: KeySource,
        *,
        prefixes: Collection[str],
        required: bool = False,
        on_failure: OnFailure = "undecided",
        usable_s: float = 300.0,
        timeout_s: float = 5.0,
        maximum_lists: int = 16,
        maximum_bytes: int = MAXIMUM_INFLATED_BYTES,
        label: str = "unknown",
        revocation: RevocationList | None = None,
        tls: ssl.SSLContext | None = None,
        observer: Observer | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if isinstance(prefixes, str) or not prefixes or usable_s <= 0:
            raise ConfigurationError(Reason.SETTINGS_INVALID, "a status list check needs the places of its lists")
        for prefix in prefixes:
            KeyAddress.parse(prefix)
        self._prefixes = tuple(prefix.removesuffix("/") for prefix in prefixes)
        self._source, self._required, self._on_failure = source, required, on_failure
        self._usable_s, self._timeout_s, self._maximum_bytes = usable_s, timeout_s, maximum_bytes
        self._label, self._revocation, self._tls = label, revocation, tls
        self._observer, self._clock = observer, clock
        self._lists: Answers[Statement] = Answers(
            timeout_s=timeout_s + 1, most=maximum_lists, most_flights=maximum_lists, clock=clock, asked=self._asked
        )

    @property
    def expects(self) -> str:
        return "a token that is valid in its status list" + ("" if self._required else ", if it names one")

    def check(self, seen: Proven, _: float) -> None:
        reference = self._reference(seen)
        if reference is not None:
            self._conclude(reference, self._lists.get(reference.uri, self._ask(reference.uri, seen.policy)))

    async def acheck(self, seen: Proven, _: float) -> None:
        reference = self._reference(seen)
        if reference is not None:
            self._conclude(reference, await self._lists.aget(reference.uri, self._ask(reference.uri, seen.policy)))

    def _reference(self, seen: Proven) -> Reference | None:
        reference = parse_reference(seen.claims)
        if reference is None and self._required:
            raise RejectedError(Reason.CLAIMS_MISSING, "the token names no status list")
        if reference is not None and not self._is_known(reference.uri):
            raise RejectedError(Reason.CLAIMS_MALFORMED, "the token names a status list that is none of its issuer's")
        return reference

    def _is_known(self, uri: str) -> bool:
        """Below a prefix, and written in the one way that every reader reads the same."""
        try:
            parsed = parse_url(uri)
        except LocationParseError:
            return False
        plain = parsed.url == uri and parsed.fragment is None
        return plain and any(uri == prefix or uri.startswith(f"{prefix}/") for prefix in self._prefixes)

    def _conclude(self, reference: Reference, looked: Looked[Statement] | UnavailableError) -> None:
        if isinstance(looked, UnavailableError):
            accept = self._on_failure == "accept"
            self._tell("let_through" if accept else "undecided", None)
            if accept:
                return
            message = "the token's status list could not be had"
            raise UnavailableError(Reason.REVOCATION_UNAVAILABLE, message, detail=looked.message) from looked
        status = looked.value.statuses.status(reference.index)
        outcome, reason, message = _REFUSED.get(status, _UNKNOWN)
        self._tell("valid" if status == VALID else outcome, looked)
        if status != VALID:
            raise RejectedError(reason, message)

    def _ask(self, uri: str, policy: VerificationPolicy) -> Ask[Statement]:
        def ask(before: Kept[Statement] | None) -> Kept[Statement]:
            if self._tls is None and uri.startswith("https:"):
                self._tls = ssl.create_default_context()
            answer = BoundedGet(KeyAddress.parse(uri), self._tls).get({"Accept": MEDIA_TYPE}, self._timeout_s)
            if answer.status != 200:
                raise _unusable(Reason.SOURCE_UNAVAILABLE, f"its place answered with HTTP status {answer.status}")
            try:
                said = self._verified(answer.body, policy)
            except RejectedError as error:
                raise _unusable(error.reason, error.message) from error
            self._check(said, uri, policy, before)
            return self._kept(said, answer, policy)

        return ask

    def _verified(self, body: bytes, policy: VerificationPolicy) -> Statement:
        unverified = compact.parse(body.strip(), max_bytes=MAXIMUM_BODY_BYTES)
        header = unverified.header
        header.check_type(TYP)
        self._check_revoked(policy, header.key_id)
        key = self._source.find(header.key_id)
        self._check_revoked(policy, key.key_id)  # for a list that names no key
        if not isinstance(key, PublicJWK):
            raise RejectedError(Reason.KEY_UNSUITABLE, "a status list is signed with a key pair")
        bound = key.bound_to(policy.algorithms)
        bound.check_usable(self._clock.now())
        check_signature(unverified, bound)
        return parse_statement(unverified.unverified_claims(), maximum_bytes=self._maximum_bytes)

    def _check_revoked(self, policy: VerificationPolicy, key_id: str | None) -> None:
        named = policy.issuer if isinstance(policy.issuer, str) else ""
        if self._revocation is not None and key_id and self._revocation.key_revoked(named, key_id):
            raise RejectedError(Reason.KEY_REVOKED, "the list is signed by a key that has been revoked")

    def _check(self, said: Statement, uri: str, policy: VerificationPolicy, before: Kept[Statement] | None) -> None:
        now = self._clock.now()
        if said.uri != uri:
            raise _unusable(Reason.STATEMENT_MALFORMED, "it is the list of another place")
        if said.issued_at > now + policy.leeway_s:
            raise _unusable(Reason.STATEMENT_MALFORMED, "it is from the future")
        if said.expires_at is not None and said.expires_at + policy.leeway_s <= now:
            raise _unusable(Reason.STATEMENT_MALFORMED, "it has expired")
        if before is not None and said.issued_at < before.value.issued_at:
            raise _unusable(Reason.STATEMENT_ROLLED_BACK, "it is older than one that was seen before")

    def _kept(self, said: Statement, answer: Answer, policy: VerificationPolicy) -> Kept[Statement]:
        """ "ttl" and "exp" are the issuer's word, and count before that of HTTP."""
        at, usable_s, fresh_s = self._clock.monotonic(), self._usable_s, said.ttl_s
        if said.expires_at is not None:
            usable_s = min(usable_s, said.expires_at + policy.leeway_s - self._clock.now())
        elif fresh_s is None:
            fresh_s = answer.fresh_s
        fresh_s = usable_s if fresh_s is None else min(max(fresh_s, 1.0), usable_s)
        return Kept(said, at, at + fresh_s, at + usable_s, at + fresh_s * _AHEAD)

    def _asked(self, duration_s: float, reason: Reason | None) -> None:
        tell(self._observer, TokenStatusAsked("status_list", self._label, duration_s, reason))

    def _tell(self, outcome: str, looked: Looked[Statement] | None) -> None:
        if self._observer is not None:
            cached, age_s = (False, None) if looked is None else (looked.cached, looked.age_s)
            tell(self._observer, TokenStatusChecked("status_list", self._label, outcome, cached, age_s))  # type: ignore[arg-type]


def _unusable(reason: Reason, message: str) -> UnavailableError:
    return UnavailableError(reason, f"the status list cannot be used: {message}")
