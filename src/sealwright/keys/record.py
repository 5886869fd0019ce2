"""Facts about a key, never the key itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sealwright.jose.jwk import PublicJWK
from sealwright.keys.states import PUBLISHED, KeyState, check_move

# token: what issuers sign with. trust-root: signs what verifiers obey. delegated: software keys that a token key
# vouches for. shared-secret: HMAC secrets that one partner has too; never published, "publishing" is handing over.
Purpose = Literal["token", "trust-root", "delegated", "shared-secret"]
IN_JWKS: frozenset[Purpose] = frozenset({"token", "delegated"})
# Why a pending key is on hold: it comes from outside, so nobody may make a new key in its place.
IMPORT, ADOPTION = "it is being imported", "it is being adopted"
Lineage = tuple[str, Purpose, str]


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key of one issuer. Times are seconds since the epoch; None means that it has not happened.

    ``handle`` names the key at its backend and is the idempotency tag of its creation: it is journaled before
    the backend is asked. ``key_id`` and ``public`` are known once the backend has answered.
    ``generation`` counts the changes of this record; every change is a compare-and-set on it.
    """

    handle: str
    issuer: str
    purpose: Purpose
    algorithm: str
    backend: str
    state: KeyState
    created_at: float
    generation: int = 1
    key_id: str | None = None
    public: Mapping[str, Any] | None = None
    published_at: float | None = None
    activated_at: float | None = None
    verify_only_at: float | None = None
    last_signed_at: float | None = None
    retired_at: float | None = None
    revoked_at: float | None = None
    revoked_reason: str | None = None
    destroyed_at: float | None = None
    hold: str | None = None  # why this key must not be retired or destroyed now, in an operator's words
    parent: str | None = None  # the kid that vouches for a delegated key
    expires_at: float | None = None  # when a delegated key must have stopped signing
    canary: str | None = None  # a token signed just before the key was revoked: who accepts it is behind

    @property
    def lineage(self) -> Lineage:
        """One active and one standby key each."""
        return self.issuer, self.purpose, self.algorithm

    @property
    def published(self) -> bool:
        return self.state in PUBLISHED

    @property
    def on_its_way_in(self) -> bool:
        """Pending, and from outside."""
        return self.state is KeyState.PENDING and self.hold in (IMPORT, ADOPTION)

    def public_key(self) -> PublicJWK:
        """The recorded public key; a pending key has none (ValueError)."""
        if self.public is None:
            raise ValueError("a pending key has no public half yet")
        return PublicJWK.from_dict(self.public)

    def moved(self, state: KeyState, **facts: Any) -> KeyRecord:
        """The record after one legal move, one generation later. Raises RefusedError ``move.illegal``."""
        check_move(self.state, state)
        return replace(self, state=state, generation=self.generation + 1, **facts)

    def moved_again(self, state: KeyState, **facts: Any) -> KeyRecord:
        """A second legal move in the same transaction: the generation stays."""
        check_move(self.state, state)
        return replace(self, state=state, **facts)

    def changed(self, **facts: Any) -> KeyRecord:
        """The record after a change of its facts alone, one generation later."""
        return replace(self, generation=self.generation + 1, **facts)


@dataclass(frozen=True, slots=True)
class Rotation:
    """``standby`` is None when the new one could not be made yet; the next start makes it."""

    active: KeyRecord
    previous: KeyRecord
    standby: KeyRecord | None
