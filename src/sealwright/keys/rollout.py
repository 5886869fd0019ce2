"""Rollouts: a new algorithm signs a share of an issuer's tokens, until it signs all of them or none again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from sealwright.errors import BackendError, Reason, RefusedError
from sealwright.keys import guards
from sealwright.keys.applied_policies import policy_put
from sealwright.keys.catalog import Put, Remove, Replace
from sealwright.keys.emergency import until_settled
from sealwright.keys.issuer_keys import LineageKeys
from sealwright.keys.journal import Journal
from sealwright.keys.live_fleet import LiveFleet
from sealwright.keys.record import KeyRecord
from sealwright.keys.shares import Rollout, find_rollout
from sealwright.keys.standbys import Standbys, turn_of
from sealwright.keys.states import KeyState

WHOLE = 100


class Rollouts:
    """The steps of a roll-out. Each is one transaction, and may be repeated after a crash."""

    def __init__(self, journal: Journal, standbys: Standbys, fleet: LiveFleet) -> None:
        self._journal = journal
        self._standbys = standbys
        self._fleet = fleet

    def find(self, issuer: str) -> Rollout | None:
        return find_rollout(self._journal.catalog, issuer)

    def start(self, issuer: str, algorithm: str, *, actor: str, reason: str) -> Rollout:
        """Publish a standby of the new algorithm, which signs nothing yet.

        Raises RefusedError ``guard.rollout`` or ``guard.published_keys``, BackendError ``backend.unsupported``.
        """
        with self._turn(issuer):
            rollout = self.find(issuer) or self._begun(issuer, algorithm, actor, reason)
            if rollout.algorithm != algorithm:
                message = f"the issuer rolls {rollout.algorithm} out: finish or abort that first"
                raise RefusedError(Reason.GUARD_ROLLOUT, message)
            keys = self._keys(issuer, algorithm)
            if keys.find_standby() is None:
                self._standbys.make(keys, actor, reason)
            return rollout

    def set_share(self, issuer: str, percent: int, *, actor: str, reason: str, force: bool = False) -> Rollout:
        """The share of signatures by the new algorithm; above zero its standby becomes active, once it has dwelled.

        Raises RefusedError ``guard.no_rollout``, ``guard.no_standby``, ``guard.dwell`` or ``guard.acknowledgement``.
        """
        if not 0 <= percent <= WHOLE:
            raise RefusedError(Reason.MOVE_ILLEGAL, "a share is a whole number of percent from 0 to 100")
        with self._turn(issuer):
            rollout = self._running(issuer)
            keys = self._keys(issuer, rollout.algorithm)
            first = keys.standby() if percent and keys.find_active() is None else None
            forced = guards.overridden(self._checks(first, keys), force, reason)
            done = self._shared(issuer, rollout, percent, first, actor=actor, reason=reason, forced=forced)
        if first is not None:
            self._standbys.ensure(first.lineage, actor, reason)
        return done

    def back(self, issuer: str, *, actor: str, reason: str) -> Rollout:
        """Nothing more is signed by the new algorithm, from this commit on. Takes no turn: it waits for nobody."""
        return until_settled(lambda: self._back(issuer, actor, reason))

    def finish(self, issuer: str, *, actor: str, reason: str, force: bool = False) -> Rollout:
        """The new algorithm is the issuer's: its old active key verifies only, and the old standby is withdrawn.

        Raises RefusedError ``guard.no_rollout``, ``guard.no_active_key``, and ``guard.rollout`` below 100 percent.
        """
        with self._turn(issuer):
            rollout = self._running(issuer)
            self._keys(issuer, rollout.algorithm).active()
            forced = guards.overridden([lambda: _check_whole(rollout)], force, reason)
            policy = replace(self._journal.policies.of(issuer), algorithm=rollout.algorithm)
            put, remove = policy_put(self._journal.catalog, issuer, policy), Remove(rollout.document(issuer))
            self._end(
                "rollout.finished", issuer, rollout.before, (put, remove), actor=actor, reason=reason, forced=forced
            )
        return replace(rollout, percent=WHOLE)

    def abort(self, issuer: str, *, actor: str, reason: str) -> Rollout:
        """As if it had not been started; a key that may have signed stays published until its tokens have expired.

        Raises RefusedError ``guard.no_rollout``.
        """
        with self._turn(issuer):
            rollout = self._running(issuer)
            documents = [Remove(rollout.document(issuer))]
            self._end("rollout.aborted", issuer, rollout.algorithm, documents, actor=actor, reason=reason)
        return replace(rollout, percent=0)

    def _begun(self, issuer: str, algorithm: str, actor: str, reason: str) -> Rollout:
        everything = self._journal.issuer(issuer)
        usual = everything.lineage().active()
        if algorithm == usual.algorithm:
            raise RefusedError(Reason.GUARD_ROLLOUT, f"the issuer signs with {algorithm} already")
        policy = self._journal.policies.of(issuer)
        if algorithm not in self._journal.backend(policy.backend).algorithms:
            message = f"the backend {policy.backend} makes no keys for {algorithm}"
            raise BackendError(Reason.BACKEND_UNSUPPORTED, message)
        everything.of(algorithm).check_room(policy.timings)
        return self._put("rollout.started", issuer, Rollout(algorithm, usual.algorithm), actor, reason)

    def _shared(
        self,
        issuer: str,
        rollout: Rollout,
        percent: int,
        first: KeyRecord | None,
        *,
        actor: str,
        reason: str,
        forced: Sequence[str],
    ) -> Rollout:
        if first is None:
            return self._put("rollout.share_set", issuer, replace(rollout, percent=percent), actor, reason)
        after = replace(rollout, percent=percent, generation=rollout.generation + 1)
        active = Replace(first.moved(KeyState.ACTIVE, activated_at=self._journal.clock.now()))
        documents, facts = [Put(after.document(issuer))], {"percent": percent, "forced": forced}
        self._journal.write("rollout.share_set", [active], actor, reason, documents=documents, **facts)
        return after

    def _back(self, issuer: str, actor: str, reason: str) -> Rollout:
        rollout = self._running(issuer)
        if not rollout.percent:
            return rollout
        return self._put("rollout.back", issuer, replace(rollout, percent=0), actor, reason)

    def _put(self, action: str, issuer: str, rollout: Rollout, actor: str, reason: str) -> Rollout:
        after = replace(rollout, generation=rollout.generation + 1)
        facts = {"algorithm": after.algorithm, "percent": after.percent}
        self._journal.note(action, issuer, [Put(after.document(issuer))], actor, reason, **facts)
        return after

    def _end(
        self,
        action: str,
        issuer: str,
        algorithm: str,
        documents: Sequence[Put | Remove],
        *,
        actor: str,
        reason: str,
        forced: Sequence[str] = (),
    ) -> None:
        """One lineage stops: what may have signed verifies only, and what never signed is retired."""
        keys, now = self._keys(issuer, algorithm), self._journal.clock.now()
        active, standby = keys.find_active(), keys.find_standby()
        unsigned = [*keys.pending, *([standby] if standby else [])]
        stopped = [active.moved(KeyState.VERIFY_ONLY, verify_only_at=now)] if active else []
        stopped += [record.moved(KeyState.RETIRED, retired_at=now) for record in unsigned]
        if not stopped:
            self._journal.note(action, issuer, documents, actor, reason)
            return
        changes = [Replace(record) for record in stopped]
        self._journal.write(action, changes, actor, reason, documents=documents, forced=forced)
        for record in stopped:
            if record.state is KeyState.RETIRED:
                self._journal.switch(record, on=False)

    def _checks(self, first: KeyRecord | None, keys: LineageKeys) -> Iterable[Callable[[], None]]:
        """The guards of a key that is going to sign."""
        if first is None:
            return []
        timings, now = self._journal.policies.of(first.issuer).timings, self._journal.clock.now()
        return (
            lambda: guards.check_dwell(first, keys.all, timings, now),
            lambda: self._fleet.check_acknowledged(first),
        )

    def _running(self, issuer: str) -> Rollout:
        self._journal.issuer(issuer)
        rollout = self.find(issuer)
        if rollout is None:
            raise RefusedError(Reason.GUARD_NO_ROLLOUT, "the issuer has no roll-out: rollout start begins one")
        return rollout

    def _keys(self, issuer: str, algorithm: str) -> LineageKeys:
        return self._journal.issuer(issuer).of(algorithm)

    def _turn(self, issuer: str) -> AbstractContextManager[None]:
        return self._journal.catalog.turn(turn_of(issuer))


def _check_whole(rollout: Rollout) -> None:
    if rollout.percent != WHOLE:
        message = f"the new algorithm signs {rollout.percent} %: rollout set --percent 100, and watch, before finish"
        raise RefusedError(Reason.GUARD_ROLLOUT, message)
