"""Random moves, clocks and failures: the rules of the key life hold whatever happens."""

from __future__ import annotations

import contextlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from world import Death, World

import sealwright as sw
from sealwright.keys.states import KeyState

FINAL = (KeyState.REVOKED, KeyState.DESTROYED)


class KeyLife(RuleBasedStateMachine):
    """Each rule is something that people, clocks and machines do."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World().opened()
        self.final: dict[str, KeyState] = {}

    def attempt(self, move: str, *arguments: str, **named: bool) -> None:
        with contextlib.suppress(sw.RefusedError, sw.BackendError):
            getattr(self.world.keys, move)(*arguments, actor="random", reason="random walk", **named)

    def any_kid(self, number: int) -> str:
        known = [record.key_id for record in self.world.stored.records("default") if record.key_id]
        return str(known[number % len(known)])

    @rule(force=st.booleans())
    def rotate(self, force: bool) -> None:
        self.attempt("rotate", "default", force=force)

    @rule()
    def emergency(self) -> None:
        self.attempt("emergency_rotate", "default")

    @rule()
    def create(self) -> None:
        self.attempt("create", "default")

    @rule(move=st.sampled_from(["activate", "retire", "destroy"]), number=st.integers(0, 50), force=st.booleans())
    def move_some_key(self, move: str, number: int, force: bool) -> None:
        self.attempt(move, self.any_kid(number), force=force)

    @rule(move=st.sampled_from(["publish", "restore", "revoke"]), number=st.integers(0, 50))
    def move_some_key_unforced(self, move: str, number: int) -> None:
        self.attempt(move, self.any_kid(number))

    @rule(seconds=st.sampled_from([1.0, 60.0, 1560.0, 86_400.0, 40 * 86_400.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def sign(self) -> None:
        with contextlib.suppress(sw.BackendError):
            signed = self.world.signer.sign(b'{"n":1}', typ=None, actor="random")
            keys = {record.key_id: record for record in self.world.stored.records("default")}
            assert sw.verify_signature(signed.token, keys[signed.key_id].public_key()).payload == b'{"n":1}'
            assert signed.key_id in self.world.published_ids()

    @rule()
    def the_backend_goes_down(self) -> None:
        self.world.fail_backend()

    @rule()
    def the_backend_comes_back(self) -> None:
        self.world.mend()

    @rule(number=st.integers(1, 8), after=st.booleans())
    def the_process_dies_during_a_rotation(self, number: int, after: bool) -> None:
        self.world.mend()
        self.world.die_at(number, after=after)
        with contextlib.suppress(Death):
            self.attempt("rotate", "default", force=True)
        self.restart()

    @rule()
    def restart(self) -> None:
        self.world.mend()
        self.world.start().recover(actor="sealwright")

    @invariant()
    def the_rules_hold(self) -> None:
        self.world.check()

    @invariant()
    def final_states_are_final(self) -> None:
        for record in self.world.stored.records("default"):
            if record.key_id in self.final:
                assert record.state is self.final[record.key_id]
            elif record.state in FINAL and record.key_id:
                self.final[record.key_id] = record.state
        known = {record.key_id for record in self.world.stored.records("default")}
        assert self.final.keys() <= known


TestKeyLifeStateful = KeyLife.TestCase
examples = settings().max_examples * 3 // 5
TestKeyLifeStateful.settings = settings(max_examples=examples, stateful_step_count=40, deadline=None)
