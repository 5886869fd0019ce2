"""Whatever order statements arrive in, through whichever worker, over restarts: nothing revoked counts again."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from sealwright.clock import ManualClock
from sealwright.errors import RejectedError
from sealwright.jose import strict_json
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.signing import sign
from sealwright.statements.revoked_keys import LIFETIME_S, RevokedKey, feed_claims
from sealwright.trust.held_feed import HeldFeed
from sealwright.trust.state_file import StateFile
from sealwright.trust.trust_root import TrustRoot

ISSUER = "https://id.example"
ROOT = PrivateJWK.generate("Ed25519", key_id="root")
PINNED = TrustRoot(JWKSet([ROOT.public]))
SKEW_S = 120.0


class Feeds(RuleBasedStateMachine):
    """A service that revokes and signs, an attacker who replays what was signed, and two workers of a verifier."""

    signed = Bundle("signed")

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.sequence, self.revoked = 1, frozenset()
        self.obeyed = [frozenset(), frozenset()]  # what each worker was ever told by a feed that it took
        self.highest = -1
        self.first_seen = [{}, {}]
        self.workers = [self._worker(), self._worker()]

    def _worker(self):
        state = StateFile(Path(self.folder.name) / "feed.json", ISSUER)
        return HeldFeed(ISSUER, PINNED, state, clock=self.clock, skew_s=SKEW_S)

    @rule(kid=st.sampled_from(["k1", "k2", "k3", "k4"]))
    def revoke(self, kid):
        self.sequence, self.revoked = self.sequence + 1, self.revoked | {kid}

    @rule(jump=st.integers(1, 50))
    def restore_a_backup(self, jump):
        """Which forgets some revocations, and raises the sequence."""
        self.sequence, self.revoked = self.sequence + jump, frozenset(list(self.revoked)[:1])

    @rule(target=signed)
    def sign(self):
        keys = [RevokedKey(kid, 1.0, "compromised") for kid in sorted(self.revoked)]
        now = self.clock.now()
        claims = feed_claims(ISSUER, keys, sequence=self.sequence, now=now)
        text = sign(strict_json.encode_object(claims), ROOT, typ="revoked-keys+jwt").encode()
        return text, self.sequence, self.revoked, now

    @rule(one=signed, worker=st.integers(0, 1))
    def deliver(self, one, worker):
        text, sequence, revoked, at = one
        held, before = self.workers[worker], self.workers[worker].now
        now = self.clock.now()
        out_of_time = now >= int(at) + LIFETIME_S + SKEW_S or int(at) > now + SKEW_S
        try:
            held.take(text)
        except RejectedError:
            assert out_of_time or sequence < self.highest or not before.named <= revoked
            assert held.now.dead_at == before.dead_at
            return
        assert not out_of_time
        assert sequence >= self.highest
        self.highest = sequence
        self.obeyed[worker] |= revoked
        self.first_seen[worker].setdefault((sequence, int(at)), self.clock.monotonic())

    @rule(worker=st.integers(0, 1))
    def restart(self, worker):
        self.workers[worker] = self._worker()
        self.obeyed[worker] = frozenset().union(*self.obeyed)
        self.first_seen[worker] = {}

    @rule(seconds=st.integers(1, 400))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule(seconds=st.integers(-100, 100))
    def set_the_clock(self, seconds):
        self.clock.jump(seconds)

    @invariant()
    def what_was_revoked_stays_so(self):
        for worker, told in zip(self.workers, self.obeyed, strict=True):
            assert told <= worker.now.revoked

    @invariant()
    def nothing_counts_for_longer_than_its_lifetime_after_it_was_first_seen(self):
        for worker, seen in zip(self.workers, self.first_seen, strict=True):
            if worker.now.dead_at > self.clock.monotonic():
                assert max(seen.values()) > self.clock.monotonic() - LIFETIME_S

    @invariant()
    def no_worker_runs_ahead_of_what_is_on_disk(self):
        kept = self._worker().now
        assert all(worker.now.sequence <= kept.sequence for worker in self.workers)

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestFeeds = Feeds.TestCase
TestFeeds.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
