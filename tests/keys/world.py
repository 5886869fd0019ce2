"""A small world for key life tests: stores that outlive a lifecycle, a clock, and deaths at chosen calls."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sealwright.clock import ManualClock
from sealwright.errors import BackendError, Reason
from sealwright.events import Event, ScheduledStepFailed
from sealwright.keys.applied_policies import CatalogPolicies
from sealwright.keys.audit import AuditEntry, check_chain
from sealwright.keys.backends.memory import MemoryBackend
from sealwright.keys.catalog import Insert
from sealwright.keys.catalogs.memory import MemoryCatalog
from sealwright.keys.catalogs.memory_fleet import MemoryFleet
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.live_fleet import LiveFleet
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.policy import Approved, FixedPolicies, IssuerPolicy
from sealwright.keys.publication import published_keys, revoked_key_ids
from sealwright.keys.record import KeyRecord
from sealwright.keys.scheduler import STEADY_BEFORE_DESTRUCTION_S, Scheduler
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings

WHO = {"actor": "tester", "reason": "test"}


class Death(BaseException):
    """The process ended here."""


class Interrupted:
    """Passes calls on to a store, and dies or fails at the call that was chosen."""

    def __init__(self, inner: Any, calls: set[str]) -> None:
        self._inner = inner
        self._calls = calls
        self.before_call: Callable[[], None] = lambda: None
        self.after_call: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if name not in self._calls:
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            self.before_call()
            answer = value(*arguments, **named)
            self.after_call()
            return answer

        return call


class World:
    """Stores, clock and observer of one machine; ``start`` is a new process on them."""

    def __init__(
        self,
        catalog: Any = None,
        backend: Any = None,
        timings: KeyTimings | None = None,
        approvals: Mapping[Approved, int] | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.stored = catalog or MemoryCatalog()
        self.held = backend or MemoryBackend()
        self.clock = clock or ManualClock()
        self.timings = timings or KeyTimings()
        fixed = FixedPolicies(IssuerPolicy(timings=self.timings, approvals=approvals or {}))
        self.policies = CatalogPolicies(self.stored, fixed)
        self.events: list[Event] = []
        self.catalog = Interrupted(self.stored, {"commit", "record_signatures"})
        self.backend = Interrupted(self.held, {"generate", "destroy", "sign", "adopt", "import_private"})
        self.fleet = MemoryFleet()
        self.start()

    def start(self) -> KeyLifecycle:
        self.keys = KeyLifecycle(
            self.catalog,
            {"local": self.backend},
            policies=self.policies,
            clock=self.clock,
            observer=self,
            fleet=LiveFleet(self.fleet, self.clock),
        )
        self.signer = ManagedSigner(self.catalog, {"local": self.backend}, "default", clock=self.clock, observer=self)
        self.scheduler = Scheduler(self.keys, self.catalog, self.policies, clock=self.clock, observer=self)
        return self.keys

    def replica(self) -> World:
        """Another process on the same stores, in the same time."""
        return World(self.stored, self.held, self.timings, clock=self.clock)

    def observe(self, event: Event) -> None:
        self.events.append(event)

    def opened(self) -> World:
        self.keys.open_issuer("default", algorithm="Ed25519", **WHO)
        return self

    def add_algorithm(self, algorithm: str, issuer: str = "default") -> None:
        """What a roll-out does: an active and a standby key of a second algorithm, first published now."""
        now = self.clock.now()
        for state, activated_at in ((KeyState.ACTIVE, now), (KeyState.STANDBY, None)):
            handle = secrets.token_hex(16)
            public = self.held.generate(handle, algorithm)
            facts = {"key_id": public.key_id, "public": public.to_dict(), "published_at": now}
            record = KeyRecord(
                handle, issuer, "token", algorithm, "local", state, now, **facts, activated_at=activated_at
            )
            self.stored.commit([Insert(record)], AuditEntry(now, "tester", "test", issuer, public.key_id, "test", {}))

    def steady(self) -> World:
        """The scheduler has known the clock for so long that it trusts it with everything."""
        self.scheduler.tick()
        self.clock.advance(STEADY_BEFORE_DESTRUCTION_S)
        self.scheduler.tick()
        return self

    def failures(self) -> list[tuple[str, str]]:
        failed = [event for event in self.events if isinstance(event, ScheduledStepFailed)]
        return [(event.step, str(event.reason)) for event in failed]

    def one(self, state: KeyState) -> KeyRecord:
        (found,) = [record for record in self.stored.records("default") if record.state is state]
        return found

    def one_of(self, purpose: str, state: KeyState) -> KeyRecord:
        records = self.stored.records("default")
        (found,) = [record for record in records if (record.purpose, record.state) == (purpose, state)]
        return found

    def states(self) -> list[str]:
        return sorted(str(record.state) for record in self.stored.records("default"))

    def published_ids(self) -> list[str]:
        return [str(key.key_id) for key in published_keys(self.stored.records(), "default")]

    def revoked_ids(self) -> frozenset[str]:
        return revoked_key_ids(self.stored.records(), "default")

    def fail_backend(self) -> None:
        def fail() -> None:
            raise BackendError(Reason.BACKEND_FAILED, "the backend is down")

        self.backend.before_call = fail

    def mend(self) -> None:
        for store in (self.catalog, self.backend):
            store.before_call = store.after_call = lambda: None

    def die_at(self, number: int, *, after: bool) -> None:
        """The process dies before, or right after, the n-th call to a store."""
        left = [number]

        def step() -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Death

        for store in (self.catalog, self.backend):
            setattr(store, "after_call" if after else "before_call", step)

    def check(self) -> None:
        """What holds at every moment after a recovery."""
        records = self.stored.records("default")
        states = [record.state for record in records]
        assert states.count(KeyState.ACTIVE) == 1, states
        assert states.count(KeyState.STANDBY) <= 1, states
        kids = [record.key_id for record in records if record.key_id is not None]
        assert len(kids) == len(set(kids))
        shown = [record.key_id for record in records if record.published]
        assert sorted(self.published_ids()) == sorted(str(kid) for kid in shown)
        assert not set(self.published_ids()) & self.revoked_ids()
        check_chain(self.stored.audit())
