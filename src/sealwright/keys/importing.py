"""Importing: a key that signed elsewhere comes in under its old kid, so that whoever knows it learns nothing new."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from sealwright.errors import Reason, RefusedError
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.keys.backend import KeyBackend, PublicHalf
from sealwright.keys.catalog import Replace
from sealwright.keys.issuer_keys import IssuerKeys, LineageKeys
from sealwright.keys.journal import Journal, with_public
from sealwright.keys.record import ADOPTION, IMPORT, KeyRecord
from sealwright.keys.standbys import Standbys, turn_of
from sealwright.keys.states import KeyState

As = Literal["active", "standby", "verify_only"]
NOWHERE = "none"  # the backend of a key whose private half is not here


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A key from outside. ``take`` puts it into its backend under a handle; None for a public key alone."""

    key_id: str
    algorithm: str
    backend: str
    take: Callable[[KeyBackend, str], PublicHalf] | None
    public: PublicJWK | None = None

    @classmethod
    def private(cls, key: PrivateJWK, backend: str) -> Newcomer:
        def take(into: KeyBackend, handle: str) -> PublicHalf:
            return into.import_private(handle, key)

        return cls(str(key.key_id), key.algorithm.name, backend, take, key.public)

    @classmethod
    def public_only(cls, key: PublicJWK) -> Newcomer:
        assert key.algorithm is not None
        return cls(str(key.key_id), key.algorithm.name, NOWHERE, None, key)

    @classmethod
    def at_backend(cls, reference: str, algorithm: str, backend: str, key_id: str) -> Newcomer:
        """A key that the backend holds already, under ``reference`` in its own words."""

        def take(into: KeyBackend, handle: str) -> PublicHalf:
            return into.adopt(handle, reference, algorithm)

        return cls(key_id, algorithm, backend, take)


class Importing:
    """Journaled like every key: a crash leaves a pending record that the next start finishes or withdraws."""

    def __init__(self, journal: Journal, standbys: Standbys) -> None:
        self._journal = journal
        self._standbys = standbys

    def bring(self, issuer: str, newcomer: Newcomer, state: As, *, actor: str, reason: str) -> KeyRecord:
        """active: the first key of a new issuer, which its verifiers know already. standby: signs after its dwell.
        verify_only: for tokens that are still under way.

        Raises RefusedError ``guard.*`` or ``catalog.conflict`` for a kid that was used before.
        """
        with self._journal.catalog.turn(turn_of(issuer)):
            keys = IssuerKeys(self._journal.catalog.records(issuer), issuer, "token")
            lineage = keys.of(newcomer.algorithm)
            self._check(keys, lineage, newcomer, state)
            record = self._taken(issuer, newcomer, actor, reason)
            brought = self._moved(record, state)
            self._journal.write("key.imported", [Replace(brought)], actor, reason)
            if state == "active":
                self._standbys.ensure(brought.lineage, actor, reason)
            return brought

    def _check(self, keys: IssuerKeys, lineage: LineageKeys, newcomer: Newcomer, state: As) -> None:
        if state == "active" and keys.opened:
            message = "an open issuer has its active key: import as standby, then keys rotate"
            raise RefusedError(Reason.GUARD_ISSUER_EXISTS, message)
        if state != "active":
            keys.check_open()
            lineage.check_room(self._journal.policies.of(keys.all[0].issuer).timings)
        if state == "standby":
            lineage.active()
            lineage.check_no_standby()
        if newcomer.take is None and state != "verify_only":
            raise RefusedError(Reason.MOVE_ILLEGAL, "a public key alone can be imported as verify_only only")

    def _taken(self, issuer: str, newcomer: Newcomer, actor: str, reason: str) -> KeyRecord:
        """The record, pending and journaled, with its public half. A crash leaves it on hold, so that nobody makes a
        new key for it; the kid is not written before its key is here.
        """
        pending = self._pending(issuer, newcomer)
        self._journal.insert([pending], actor, reason)
        if newcomer.take is None:
            assert newcomer.public is not None
            public: PublicHalf = newcomer.public
        else:
            public = newcomer.take(self._journal.backend(newcomer.backend), pending.handle)
        return with_public(replace(pending, key_id=newcomer.key_id, hold=None), public)

    def _pending(self, issuer: str, newcomer: Newcomer) -> KeyRecord:
        if newcomer.take is not None:
            pending = self._journal.new(issuer, "token", newcomer.algorithm, newcomer.backend)
            return replace(pending, hold=IMPORT if newcomer.public is not None else ADOPTION)
        now, state = self._journal.clock.now(), KeyState.PENDING
        pending = KeyRecord(secrets.token_hex(16), issuer, "token", newcomer.algorithm, NOWHERE, state, now)
        return replace(pending, hold=IMPORT, destroyed_at=now)

    def _moved(self, record: KeyRecord, state: As) -> KeyRecord:
        now = self._journal.clock.now()
        brought = record.moved(KeyState.STANDBY, published_at=now)
        if state != "standby":
            brought = brought.moved_again(KeyState.ACTIVE, activated_at=now)
        if state == "verify_only":
            brought = brought.moved_again(KeyState.VERIFY_ONLY, verify_only_at=now)
        return brought
