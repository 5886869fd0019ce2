"""Random moves, clocks, failures and deaths of two replicas: the rules of the key life hold whatever happens."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from key_model import KeyModel
from world import Death, World

import sealwright as sw
from sealwright.keys.audit import check_chain
from sealwright.keys.publication import published_keys, revoked_key_ids
from sealwright.keys.timings import KeyTimings

HOUR, DAY = 3600.0, 86_400.0
ISSUERS = ("default", "second")
WHO = {"actor": "random", "reason": "random walk"}
replicas = st.integers(0, 1)
lineages = st.sampled_from([("default", "Ed25519"), ("second", "Ed25519"), ("second", "ES256")])
numbers = st.integers(0, 50)


class KeyLife(RuleBasedStateMachine):
    """Each rule is something that people, clocks and machines do to one of two replicas; the model watches."""

    def __init__(self) -> None:
        super().__init__()
        first = World(timings=KeyTimings(published_keys=6)).opened()
        first.keys.open_issuer("second", algorithm="Ed25519", **WHO)
        first.add_algorithm("ES256", "second")
        self.worlds = [first, first.replica()]
        self.stored, self.clock = first.stored, first.clock
        self.model = KeyModel(first.timings)
        self.watch(emergency=True)

    def attempt(self, replica: int, move: str, *arguments: str, **named: Any) -> None:
        with contextlib.suppress(sw.RefusedError, sw.BackendError):
            getattr(self.worlds[replica].keys, move)(*arguments, **WHO, **named)

    def watch(self, **how: bool) -> None:
        self.model.watch(self.stored.records(), self.clock, **how)
        self.clock.advance(0.001)  # no two moves of the real world share an instant

    def any_kid(self, number: int) -> str:
        known = [record.key_id for record in self.stored.records() if record.key_id]
        return str(known[number % len(known)])

    @rule(replica=replicas, lineage=lineages, force=st.booleans())
    def rotate(self, replica: int, lineage: tuple[str, str], force: bool) -> None:
        self.attempt(replica, "rotate", lineage[0], algorithm=lineage[1], force=force)
        self.watch(forced=force)

    @rule(replica=replicas, lineage=lineages)
    def emergency(self, replica: int, lineage: tuple[str, str]) -> None:
        self.attempt(replica, "emergency_rotate", lineage[0], algorithm=lineage[1])
        self.watch(emergency=True)

    @rule(replica=replicas, lineage=lineages)
    def create(self, replica: int, lineage: tuple[str, str]) -> None:
        self.attempt(replica, "create", lineage[0], algorithm=lineage[1])
        self.watch()

    @rule(
        replica=replicas,
        move=st.sampled_from(["activate", "retire", "destroy"]),
        number=numbers,
        force=st.booleans(),
    )
    def move_some_key(self, replica: int, move: str, number: int, force: bool) -> None:
        self.attempt(replica, move, self.any_kid(number), force=force)
        self.watch(forced=force)

    @rule(
        replica=replicas,
        move=st.sampled_from(["publish", "restore", "revoke", "hold", "release"]),
        number=numbers,
    )
    def move_some_key_unforced(self, replica: int, move: str, number: int) -> None:
        self.attempt(replica, move, self.any_kid(number))
        self.watch()

    @rule(replica=replicas, number=numbers, move=st.sampled_from(["retire", "destroy"]))
    def move_a_held_key(self, replica: int, number: int, move: str) -> None:
        self.attempt(replica, "hold", self.any_kid(number))
        self.watch()
        self.attempt(replica, move, self.any_kid(number), force=True)
        self.watch(forced=True)

    @rule(seconds=st.sampled_from([1.0, 60.0, 1560.0, DAY, 30 * DAY, 40 * DAY]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([60.0, -60.0, 2 * HOUR, -DAY, 365 * DAY]))
    def somebody_sets_the_clock(self, seconds: float) -> None:
        self.clock.jump(seconds)

    @rule(replica=replicas)
    def tick(self, replica: int) -> None:
        self.model.read(replica, self.clock)
        self.worlds[replica].scheduler.tick()
        self.watch(scheduled=True)

    @rule(replica=replicas, waits=st.lists(st.sampled_from([10.0, HOUR, DAY]), min_size=2, max_size=4))
    def the_service_runs_for_a_while(self, replica: int, waits: list[float]) -> None:
        for wait in waits:
            self.tick(replica)
            self.clock.advance(wait)
        self.tick(replica)

    @rule(replica=replicas)
    def sign(self, replica: int) -> None:
        with contextlib.suppress(sw.BackendError):
            signed = self.worlds[replica].signer.sign(b'{"n":1}', typ=None, actor="random")
            keys = {record.key_id: record for record in self.stored.records("default")}
            assert sw.verify_signature(signed.token, keys[signed.key_id].public_key()).payload == b'{"n":1}'
            assert signed.key_id in self.worlds[replica].published_ids()
            self.model.signed(keys[signed.key_id].handle, self.clock)

    @rule(replica=replicas)
    def the_backend_goes_down(self, replica: int) -> None:
        self.worlds[replica].fail_backend()

    @rule(replica=replicas)
    def the_backend_comes_back(self, replica: int) -> None:
        self.worlds[replica].mend()

    @rule(
        replica=replicas,
        number=st.integers(1, 8),
        after=st.booleans(),
        what=st.sampled_from(["rotate", "emergency_rotate", "tick"]),
    )
    def the_process_dies(self, replica: int, number: int, after: bool, what: str) -> None:
        world = self.worlds[replica]
        world.mend()
        self.model.read(replica, self.clock)
        world.die_at(number, after=after)
        with contextlib.suppress(Death):
            if what == "tick":
                world.scheduler.tick()
            else:
                self.attempt(replica, what, "default", **({"force": True} if what == "rotate" else {}))
        self.watch(forced=what == "rotate", emergency=what == "emergency_rotate", scheduled=what == "tick")
        self.restart(replica)

    @rule(replica=replicas)
    def restart(self, replica: int) -> None:
        self.worlds[replica].mend()
        self.worlds[replica].start().recover(actor="sealwright")
        self.model.forget_readings(replica)
        self.watch()

    @invariant()
    def the_published_sets_are_whole(self) -> None:
        records = self.stored.records()
        for issuer in ISSUERS:
            shown = {key.key_id for key in published_keys(records, issuer)}
            assert shown == self.model.published(issuer)
            assert shown
            assert not shown & revoked_key_ids(records, issuer)

    def teardown(self) -> None:
        check_chain(self.stored.audit())


TestKeyLifeStateful = KeyLife.TestCase
examples = settings().max_examples * 3 // 5
TestKeyLifeStateful.settings = settings(max_examples=examples, stateful_step_count=40, deadline=None)
