"""Random rotations, revocations, outages, clocks and lost pushes against a model with one invariant.

Nothing revoked or expired is accepted beyond its stated bound, and nothing valid is ever rejected. Undecided is allowed
only while the feed cannot be had for so long that it is stale, or a key that was never seen cannot be fetched.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import sealwright as sw
from sealwright.keys.record import KeyRecord
from sealwright.keys.states import KeyState
from sealwright.statements.revoked_keys import LIFETIME_S

sys.path.append(str(Path(__file__).parents[1] / "keys"))
from trust_world import LEEWAY_S, WHO, TrustWorld

SKEW_S = 120.0
LONGEST_BACKOFF_S = 75.0
MOST_TOKENS = 12
numbers = st.integers(0, 50)
heard = st.sets(st.sampled_from(["feed", "jwks"]))  # what the verifier fetches after a change; a push may be lost


class Trust(RuleBasedStateMachine):
    """Each rule is something that people, clocks and networks do; after each, every token is presented again."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.it = TrustWorld(Path(self._folder.name))
        self.tokens: list[dict[str, Any]] = []
        self.feed_at = self.it.world.clock.now()  # when the verifier last took a current feed; -inf for never
        self.keys_at = float("-inf")
        self.keys_failed_at = float("-inf")
        self.known: set[str] = set()  # kids in the set that the verifier holds

    def teardown(self) -> None:
        self.it.close()
        self._folder.cleanup()

    @property
    def now(self) -> float:
        return self.it.world.clock.now()

    @initialize()
    def begin(self) -> None:
        self.it.pass_time(0.01)
        self.fetch_keys()
        self.issue(600)

    @rule(lifetime_s=st.sampled_from([60, 300, 600]))
    def issue(self, lifetime_s: float) -> None:
        self.tokens = [*self.tokens, self.it.token(lifetime_s)][-MOST_TOKENS:]

    @rule(force=st.booleans(), heard=heard)
    def rotate(self, force: bool, heard: set[str]) -> None:
        with contextlib.suppress(sw.RefusedError):
            self.it.world.keys.rotate("default", force=force, **WHO)
        self.fetch(heard)

    @rule(heard=heard)
    def emergency(self, heard: set[str]) -> None:
        with contextlib.suppress(sw.RefusedError):
            self.it.world.keys.emergency_rotate("default", **WHO)
        self.fetch(heard)

    @rule(number=numbers, verb=st.sampled_from(["revoke", "retire", "restore", "create"]), heard=heard)
    def move(self, number: int, verb: str, heard: set[str]) -> None:
        records = [record for record in self.records() if record.key_id]
        named = "default" if verb == "create" else str(records[number % len(records)].key_id)
        with contextlib.suppress(sw.RefusedError):
            getattr(self.it.world.keys, "add_standby" if verb == "create" else verb)(named, **WHO)
        self.fetch(heard)

    @rule(number=numbers, heard=heard)
    def revoke_a_token(self, number: int, heard: set[str]) -> None:
        self.it.revoked_tokens.setdefault(self.tokens[number % len(self.tokens)]["jti"], self.now)
        self.fetch(heard)

    @rule(seconds=st.sampled_from([1.0, 40.0, 100.0, 250.0, 550.0, 4000.0]), heard=heard)
    def pass_time(self, seconds: float, heard: set[str]) -> None:
        self.it.pass_time(seconds)
        self.fetch(heard)

    @rule(skew_s=st.sampled_from([-SKEW_S, -60.0, 0.0, 60.0, SKEW_S]))
    def set_the_verifiers_clock(self, skew_s: float) -> None:
        self.it.set_skew(skew_s)

    @rule(page=st.sampled_from(["jwks", "feed"]), down=st.booleans())
    def outage(self, page: str, down: bool) -> None:
        (self.it.pages.down.add if down else self.it.pages.down.discard)(page)

    @rule()
    def somebody_plays_an_old_feed(self) -> None:
        self.it.serves_old_feed = True
        self.fetch({"feed"})
        self.it.serves_old_feed = False

    @rule()
    def restart_the_verifier(self) -> None:
        self.it.stop_verifier()
        self.it.start_verifier()
        self.feed_at = self.keys_at = float("-inf")
        self.known = set()
        self.fetch({"feed", "jwks"})

    def fetch(self, heard: set[str]) -> None:
        if "feed" in heard:
            self.fetch_feed()
        if "jwks" in heard:
            self.fetch_keys()

    def fetch_feed(self) -> None:
        if self.it.fetch_feed():
            self.feed_at = self.now
        self.it.pass_time(0.01)  # no fetch and change share an instant

    def fetch_keys(self) -> None:
        if self.it.fetch_keys():
            self.keys_at, self.known = self.now, self.published()
        else:
            self.keys_failed_at = self.now

    def records(self) -> list[KeyRecord]:
        return self.it.world.stored.records("default")

    def published(self) -> set[str]:
        return {str(record.key_id) for record in self.records() if record.published}

    @invariant()
    def every_token_is_decided_right(self) -> None:
        if "jwks" in self.it.pages.down:
            self.keys_failed_at = self.now  # a token of an unknown key has it asked for, in vain
        records = {record.key_id: record for record in self.records()}
        for token in self.tokens:
            outcome = self.it.verifier.decide(token["token"])
            revoked_at = self.revoked_at(token, records[token["kid"]])
            if outcome.accepted:
                assert self.now < token["exp"] + LEEWAY_S + SKEW_S, "expired"
                assert revoked_at > self.feed_at, "the feed said so"
                assert self.now <= revoked_at + LIFETIME_S + 2 * SKEW_S, "revoked too long ago"
            is_good = self.now < token["exp"] and token["kid"] in self.published() and revoked_at == float("inf")
            if is_good and not outcome.accepted:
                assert outcome.outcome == "undecided", outcome.reason
                assert self.may_be_undecided(token["kid"]), outcome.reason

    def revoked_at(self, token: dict[str, Any], record: KeyRecord) -> float:
        by_key = record.revoked_at if record.state is KeyState.REVOKED else None
        times = (by_key, self.it.revoked_tokens.get(token["jti"]))
        return min((time for time in times if time is not None), default=float("inf"))

    def may_be_undecided(self, key_id: str) -> bool:
        feed_is_old = self.now - self.feed_at >= LIFETIME_S - SKEW_S
        unreachable = "jwks" in self.it.pages.down or self.now - self.keys_failed_at < LONGEST_BACKOFF_S
        unknown = key_id not in self.known or self.now - self.keys_at > 3600
        return feed_is_old or (unreachable and unknown)


class TestTrust(Trust.TestCase):  # type: ignore[name-defined]
    settings = settings(max_examples=30, stateful_step_count=40, deadline=None)


@pytest.mark.soak
class TestTrustForLong(Trust.TestCase):  # type: ignore[name-defined]
    settings = settings(max_examples=4000, stateful_step_count=60, deadline=None)
