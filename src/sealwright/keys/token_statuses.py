"""TokenStatuses: single tokens that are revoked or suspended, and places in status lists for those yet to be signed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from sealwright.clock import Clock
from sealwright.errors import Reason, RefusedError, RejectedError
from sealwright.events import Observer, TokenStatusChanged, tell
from sealwright.keys import guards
from sealwright.keys.audit import AuditEntry
from sealwright.keys.catalog import KeyCatalog, Mark
from sealwright.keys.token_status import LISTS, NAMES, TokenStatus
from sealwright.statements.revoked_keys import token_digest
from sealwright.statements.status_list import INVALID, SUSPENDED, VALID, StatusList, pack

BITS = 2
LIST_SIZE = 2**20
MOST_IN_FEED = 10_000  # revoked tokens of one issuer that are still alive
MOST_IN_LISTS = 50_000  # marked tokens of one issuer that have a place in a list
_ROUNDS, _ATTEMPTS = 8, 5

_Marked = dict[str, TokenStatus]  # those of one issuer, by their digest
Verb = Literal["revoke", "suspend", "restore"]
_AFTER: Mapping[Verb, int] = {"revoke": INVALID, "suspend": SUSPENDED, "restore": VALID}
_ACTIONS: Mapping[Verb, str] = {
    "revoke": "token.revoked",
    "suspend": "token.suspended",
    "restore": "token.restored",
}


class TokenStatuses:
    """What the catalog says about single tokens; what changed is read when its version has changed."""

    def __init__(self, catalog: KeyCatalog, clock: Clock, observer: Observer | None = None) -> None:
        self._catalog, self._clock, self._observer = catalog, clock, observer
        self._known: tuple[int, Mapping[str, _Marked]] = (-1, {})
        self._changed: dict[str, int] = {}

    def status(self, issuer: str, token_id: str) -> int:
        """By the "jti" of a token."""
        found = self._marked(issuer).get(token_digest(token_id))
        return VALID if found is None else found.status

    def sequence(self, issuer: str) -> int:
        """A version of the catalog that has the last change of a token of this issuer; 0 before there was any."""
        self._marked(issuer)
        return self._changed.get(issuer, 0)

    def marked(self, issuer: str) -> list[TokenStatus]:
        """Tokens that are revoked or suspended and still alive."""
        now = self._clock.now()
        return [token for token in self._marked(issuer).values() if not token.is_over(now)]

    def in_feed(self, issuer: str) -> list[str]:
        """Digests of revoked tokens. Those that a status list names as well only as far as there is room."""
        revoked = [token for token in self.marked(issuer) if token.status == INVALID]
        return [token.digest for token in sorted(revoked, key=lambda token: token.place is not None)][:MOST_IN_FEED]

    def listed(self, issuer: str, list_id: int) -> StatusList:
        """What list number ``list_id`` says, the issuer's expired tokens included until they are forgotten."""
        now = self._clock.now()  # the place of one that is forgotten may be another token's by now
        found = [one for one in self._marked(issuer).values() if now < one.forgotten_at]
        places = {one.place: one.status for one in found if one.list_id == list_id and one.place is not None}
        return pack(places, size=LIST_SIZE, bits=BITS)

    def place(self, issuer: str, tokens: Sequence[tuple[str, float]]) -> list[TokenStatus]:
        """A random free place for each token, given as its "jti" and its expiry, before it is signed.

        Raises RejectedError ``claims.malformed`` for a "jti" that was used before, RefusedError
        ``guard.token_statuses`` when no list has a place to spare.
        """
        waiting = [TokenStatus(issuer, token_digest(token_id), VALID, at) for token_id, at in tokens]
        if len({token.digest for token in waiting}) != len(waiting):
            raise _used_before()
        placed: dict[str, TokenStatus] = {}
        for attempt in range(LISTS * _ROUNDS):
            left = [token for token in waiting if token.digest not in placed]
            if not left:
                return [placed[token.digest] for token in waiting]
            placed |= {token.digest: token for token in self._reserve(left, attempt // _ROUNDS)}
        raise RefusedError(
            Reason.GUARD_TOKEN_STATUSES, "the status lists of this issuer are full: issue shorter tokens"
        )

    def change(
        self, verb: Verb, issuer: str, digest: str, *, expires_at: float, actor: str, reason: str
    ) -> TokenStatus:
        """Mark a token; ``expires_at`` counts where nothing is known of it. What is so already changes nothing.

        Raises RefusedError ``guard.token_statuses`` for too many, or to suspend or restore what has no place in a list
        or is revoked for good, and ``move.reason_missing``.
        """
        guards.check_reason(reason)
        for attempts_left in reversed(range(_ATTEMPTS)):
            stored = self._catalog.token(issuer, digest)
            after = self._after(verb, stored or TokenStatus(issuer, digest, VALID, expires_at))
            if verb == "revoke" and after.place is None:  # who said an earlier end before was wrong, or lied
                after = replace(after, expires_at=max(after.expires_at, expires_at))
            if after == stored:
                return stored
            try:
                return self._write(verb, after, stored, actor, reason)
            except RefusedError as refused:
                if refused.reason is not Reason.CATALOG_CONFLICT or not attempts_left:
                    raise
        raise AssertionError("unreachable")

    def _write(
        self, verb: Verb, after: TokenStatus, stored: TokenStatus | None, actor: str, reason: str
    ) -> TokenStatus:
        facts = {"token": after.digest, "expires_at": after.expires_at}
        entry = AuditEntry(self._clock.now(), actor, _ACTIONS[verb], after.issuer, None, reason, facts)
        self._catalog.commit([Mark(after, None if stored is None else stored.status)], entry)
        tell(self._observer, TokenStatusChanged(after.issuer, NAMES[after.status]))
        return after

    def _after(self, verb: Verb, token: TokenStatus) -> TokenStatus:
        if verb != "revoke" and token.place is None:
            message = "this token was issued without a status, or is forgotten: it can be revoked, for good"
            raise RefusedError(Reason.GUARD_TOKEN_STATUSES, message)
        if verb != "revoke" and token.status == INVALID:
            raise RefusedError(Reason.GUARD_TOKEN_STATUSES, "a token that is revoked stays revoked: issue another")
        after = replace(token, status=_AFTER[verb])
        if after.status and not token.status:
            self._check_room(after)
        return after

    def _check_room(self, token: TokenStatus) -> None:
        in_lists = token.place is not None
        count = sum((one.place is not None) == in_lists for one in self.marked(token.issuer))
        if count >= (most := MOST_IN_LISTS if in_lists else MOST_IN_FEED):
            message = (
                f"{most} live tokens of this issuer are revoked or suspended, which is the limit: wait for them to "
                "expire and issue shorter ones, issue them with a status, or rotate the key in an emergency"
            )
            raise RefusedError(Reason.GUARD_TOKEN_STATUSES, message)

    def _reserve(self, tokens: Sequence[TokenStatus], list_id: int) -> list[TokenStatus]:
        drawn = {secrets.randbelow(LIST_SIZE): token for token in tokens}  # random, so that a place tells nothing
        wanted = [replace(token, list_id=list_id, place=place) for place, token in drawn.items()]
        try:
            return self._catalog.reserve(wanted)
        except RefusedError as refused:
            if refused.reason is not Reason.CATALOG_CONFLICT:
                raise
            if any(self._catalog.token(token.issuer, token.digest) for token in tokens):
                raise _used_before() from refused
            return []

    def _marked(self, issuer: str) -> _Marked:
        version, known = self._catalog.version(), self._known
        if known[0] != version:
            changed = self._catalog.marked_tokens(None if known[0] < 0 else known[0])
            self._changed |= {token.issuer: version for token in changed}
            known = self._known = (version, _merged(known[1], changed, self._clock.now()))
        return known[1].get(issuer, {})


def _merged(known: Mapping[str, _Marked], changed: Sequence[TokenStatus], now: float) -> Mapping[str, _Marked]:
    """Never changed in place: others are reading it."""
    merged = dict(known)
    for issuer in {token.issuer for token in changed}:
        mine = merged.get(issuer, {}) | {token.digest: token for token in changed if token.issuer == issuer}
        merged[issuer] = {key: token for key, token in mine.items() if token.status and now < token.forgotten_at}
    return merged


def _used_before() -> RejectedError:
    return RejectedError(Reason.CLAIMS_MALFORMED, 'a token with this "jti" was issued with a status before')
