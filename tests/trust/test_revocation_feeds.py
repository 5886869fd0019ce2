"""The feed of revoked keys is obeyed: rollback, freeze, forgery, outage, restart, and workers that share a file."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from statement_server import StatementServer

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import ConfigurationError, UnavailableError
from sealwright.jose import strict_json
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.signing import sign
from sealwright.statements.revoked_keys import RevokedKey, feed_claims, token_digest
from sealwright.trust.revocation_feeds import ObeyedFeed, RevocationFeeds
from sealwright.trust.state_file import Remembered, StateFile
from sealwright.trust.statement_reader import ReaderSettings
from sealwright.trust.trust_root import TrustRoot

ISSUER = "https://id.example"
QUICK = ReaderSettings(floor_s=0.001, backoff_first_s=0.01, backoff_maximum_s=0.01, timeout_s=2.0)


@pytest.fixture(scope="module")
def root():
    return PrivateJWK.generate("ES256", key_id="root-1")


@pytest.fixture
def server():
    server = StatementServer()
    yield server
    server.stop()


class Obedient:
    """Feeds of one issuer whose next fetch comes when a test says so."""

    def __init__(self, server, clock, events, root, folder, **changes):
        self.server, self.clock, self.events, self.root = server, clock, events, root
        on_stale = changes.pop("on_stale", "refuse")
        pinned = changes.pop("pinned", TrustRoot(JWKSet([root.public])))
        usual = {"settings": QUICK, "clock": clock, "observer": events}
        feed = ObeyedFeed(ISSUER, server.url, on_stale)
        self.feeds = RevocationFeeds([feed], pinned, folder, **{**usual, **changes})
        self.key_revoked = self.feeds.key_revoked
        self.started = False

    def text(self, *kids, sequence=1, key=None, typ="revoked-keys+jwt", now=None, tokens=(), **changes):
        revoked = [RevokedKey(kid, 1.0, "compromised") for kid in kids]
        now = self.clock.now() if now is None else now
        claims = feed_claims(ISSUER, revoked, sequence=sequence, now=now, tokens=map(token_digest, tokens))
        return sign(strict_json.encode_object({**claims, **changes}), key or self.root, typ=typ).encode()

    def publish(self, *kids, **changes):
        """Publish, fetch, and give the event of that fetch."""
        self.server.body = self.text(*kids, **changes)
        return self.fetch()

    def fetch(self):
        self.clock.advance(0.1)
        if self.started:
            self.feeds.ask(ISSUER)
        else:
            self.feeds.start()
            self.started = True
        return self.events.next()

    def stale(self):
        with pytest.raises(UnavailableError) as caught:
            self.key_revoked(ISSUER, "k-unknown")
        return str(caught.value.reason) == "revocation.stale"


@pytest.fixture
def obedient(server, clock, events, root, tmp_path):
    made = []

    def make(**changes):
        made.append(Obedient(server, clock, events, root, changes.pop("folder", tmp_path), **changes))
        return made[-1]

    yield make
    server.release()
    for one in made:
        one.feeds.close()


def test_a_key_of_the_feed_is_revoked_and_others_are_not(obedient):
    one = obedient()
    assert one.publish("k1").outcome == "changed"
    assert one.key_revoked(ISSUER, "k1")
    assert not one.key_revoked(ISSUER, "k2")
    assert not one.key_revoked("https://other.example", "k1")
    assert one.feeds.status()[ISSUER].sequence == 1


def test_before_the_first_feed_nothing_is_decided_and_nobody_waits(obedient, server):
    server.hold()
    one = obedient()
    one.feeds.start()
    began = time.monotonic()
    assert one.stale()
    assert time.monotonic() - began < 1.0
    assert not one.key_revoked("https://other.example", "k1")


def test_single_tokens_are_revoked_by_their_digests(obedient):
    one = obedient()
    one.publish(tokens=["jti-1"])
    assert one.feeds.token_revoked(ISSUER, "jti-1")
    assert not one.feeds.token_revoked(ISSUER, "jti-2")
    one.publish(sequence=2)
    assert not one.feeds.token_revoked(ISSUER, "jti-1")


def test_an_older_feed_is_refused_and_the_held_one_stays(obedient):
    one = obedient()
    one.publish("k1", sequence=5)
    event = one.publish(sequence=4)
    assert (event.outcome, str(event.reason)) == ("failed", "statement.rolled_back")
    assert one.key_revoked(ISSUER, "k1")
    assert one.feeds.status()[ISSUER].sequence == 5


def test_a_feed_of_the_same_sequence_must_not_forget_a_key(obedient):
    one = obedient()
    one.publish("k1", sequence=5)
    assert str(one.publish(sequence=5).reason) == "statement.rolled_back"
    assert one.publish("k1", "k2", sequence=5).outcome == "changed"
    assert one.key_revoked(ISSUER, "k2")


def test_a_revoked_key_stays_revoked_whatever_a_later_feed_forgets(obedient):
    one = obedient()
    one.publish("k1")
    assert one.publish(sequence=2).outcome == "changed"
    assert one.key_revoked(ISSUER, "k1")
    again = obedient()
    assert again.key_revoked(ISSUER, "k1")  # before its first fetch


def test_a_feed_that_is_played_again_and_again_grows_old(obedient, clock):
    one = obedient()
    one.publish("k1")
    for _ in range(5):
        clock.advance(55)
        assert one.fetch().outcome == "unchanged"
        assert not one.key_revoked(ISSUER, "k2")
    clock.advance(26)
    assert one.stale()
    assert one.key_revoked(ISSUER, "k1")
    assert one.publish("k1", sequence=2).outcome == "changed"
    assert not one.key_revoked(ISSUER, "k2")


def test_a_frozen_feed_grows_old_although_a_clock_was_set_back(obedient, clock):
    one = obedient()
    one.publish()
    clock.advance(299)
    clock.jump(-1000)
    assert not one.key_revoked(ISSUER, "k2")
    clock.advance(2)
    assert one.stale()


def test_the_same_state_signed_once_more_is_fresh_again(obedient, clock):
    one = obedient()
    one.publish("k1")
    clock.advance(200)
    assert one.publish("k1").outcome == "unchanged"
    clock.advance(200)
    assert not one.key_revoked(ISSUER, "k2")


def test_an_older_signature_of_the_same_state_does_not_make_it_fresh(obedient, clock):
    """Two replicas sign the same state at different times, and a balancer alternates between them."""
    one = obedient()
    early = one.text("k1")
    clock.advance(100)
    one.publish("k1")
    clock.advance(190)
    one.server.body = early
    assert one.fetch().outcome == "unchanged"
    assert not one.key_revoked(ISSUER, "k2")
    clock.advance(115)
    assert one.fetch().outcome == "unchanged"
    assert one.stale()


@pytest.mark.parametrize("skew_s", [-110, 110])
def test_clocks_may_differ_by_two_minutes(obedient, clock, skew_s):
    one = obedient()
    assert one.publish("k1", now=clock.now() + skew_s).outcome == "changed"
    assert not one.key_revoked(ISSUER, "k2")


@pytest.mark.parametrize(("skew_s", "reason"), [(-450, "claims.expired"), (150, "claims.issued_in_future")])
def test_clocks_that_differ_by_more_leave_it_undecided(obedient, clock, skew_s, reason):
    one = obedient()
    assert str(one.publish("k1", now=clock.now() + skew_s).reason) == reason
    assert one.stale()


FORGERIES = {
    "by a token key": ({"key": PrivateJWK.generate("ES256", key_id="k1")}, "key.not_found"),
    "under the root's name": ({"key": PrivateJWK.generate("ES256", key_id="root-1")}, "signature.invalid"),
    "of another type": ({"typ": "jwk-set+jwt"}, "header.type"),
    "of a type in other letters": ({"typ": "Revoked-Keys+JWT"}, "header.type"),
    "without a type": ({"typ": None}, "header.type"),
    "of another issuer": ({"iss": "https://other.example", "sub": "https://other.example"}, "claims.issuer"),
    "about another issuer": ({"sub": "https://other.example"}, "claims.issuer"),
    "without a sequence": ({"seq": None}, "claims.malformed"),
    "with a sequence of text": ({"seq": "7"}, "claims.malformed"),
    "with a negative sequence": ({"seq": -7}, "claims.malformed"),
    "with keys that are no list": ({"revoked": 7}, "claims.malformed"),
    "without an end": ({"exp": None}, "claims.malformed"),
    "with an end that is no number": ({"exp": True}, "claims.malformed"),
}


@pytest.mark.parametrize(("changes", "reason"), FORGERIES.values(), ids=FORGERIES)
def test_a_forged_or_broken_feed_changes_nothing(obedient, changes, reason):
    one = obedient()
    one.publish("k1")
    event = one.publish(sequence=changes.pop("sequence", 9), **changes)
    assert (event.outcome, str(event.reason)) == ("failed", reason)
    assert one.feeds.status()[ISSUER].sequence == 1
    assert not one.key_revoked(ISSUER, "k2")


@pytest.mark.parametrize("mode", ["error", "redirect", "garbage", "endless", "truncated", "drip_body"])
def test_an_endpoint_that_answers_badly_holds_nobody_up(obedient, server, mode):
    one = obedient(settings=ReaderSettings(floor_s=0.001, backoff_first_s=0.01, backoff_maximum_s=0.01, timeout_s=0.3))
    one.publish("k1")
    server.mode, server.body = mode, one.text("k2", sequence=2)
    assert one.fetch().outcome == "failed"
    assert server.bytes_sent < 16 * 1024 * 1024
    assert not one.key_revoked(ISSUER, "k2")
    server.mode = "ok"
    assert one.fetch().outcome == "changed"
    assert one.key_revoked(ISSUER, "k2")


def test_an_outage_of_300_s_leaves_it_undecided_and_its_end_is_noticed_at_once(obedient, server, clock):
    one = obedient()
    one.publish("k1")
    server.mode = "error"
    for _ in range(5):
        clock.advance(59)
        assert one.fetch().outcome == "failed"
        assert not one.key_revoked(ISSUER, "k2")
    clock.advance(5)
    assert one.stale()
    server.mode = "ok"
    one.publish("k1", "k2", sequence=2)
    assert one.key_revoked(ISSUER, "k2")
    assert not one.key_revoked(ISSUER, "k3")


def test_a_policy_may_decide_without_a_current_feed_and_says_so_once(obedient, server, clock, events):
    one = obedient(on_stale="ignore")
    one.publish("k1")
    server.mode = "error"
    clock.advance(301)
    assert [one.key_revoked(ISSUER, kid) for kid in ("k1", "k2", "k2", "k3")] == [True, False, False, False]
    said = [event for event in events.seen if type(event).__name__ == "StaleFeedIgnored"]
    assert [event.issuer for event in said] == [ISSUER]


def test_unchanged_feeds_cost_a_304(obedient, server):
    one = obedient()
    one.publish("k1")
    assert "If-None-Match" not in server.requests[-1]
    assert one.fetch().outcome == "unchanged"
    assert "If-None-Match" in server.requests[-1]
    assert one.feeds.status()[ISSUER].last_error is None


def test_a_restart_does_not_forget_the_sequence(obedient):
    obedient().publish("k1", sequence=7)
    again = obedient()
    assert str(again.publish(sequence=6).reason) == "statement.rolled_back"
    assert again.stale()
    assert again.publish(sequence=7).outcome in ("changed", "unchanged")
    assert again.key_revoked(ISSUER, "k1")


def test_a_worker_that_is_behind_learns_from_the_file_of_the_others(obedient, server):
    ahead, behind = obedient(), obedient()
    behind.publish(sequence=3)
    ahead.publish("k1", sequence=9)
    assert str(behind.publish("k2", sequence=8).reason) == "statement.rolled_back"
    assert behind.key_revoked(ISSUER, "k1")
    assert behind.key_revoked(ISSUER, "k2")
    assert behind.publish("k1", sequence=9).reason is None


def test_a_file_that_is_taken_away_while_it_runs_makes_it_forget_nothing(obedient, tmp_path):
    one = obedient()
    one.publish("k1", sequence=5)
    for sequence, reason in ((4, "statement.rolled_back"), (6, "None")):
        for file in tmp_path.glob("revoked-keys-*.json"):
            file.unlink()
        assert str(one.publish(sequence=sequence).reason) == reason
        assert one.key_revoked(ISSUER, "k1")
    again = obedient()
    assert again.feeds.status()[ISSUER].sequence == 6
    assert again.key_revoked(ISSUER, "k1")


def test_the_state_is_its_owners_alone_and_whole(obedient, tmp_path):
    obedient().publish("k1")
    (file,) = tmp_path.glob("revoked-keys-*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["revoked"] == ["k1"]


@pytest.mark.parametrize("text", ["", "{", '{"format":"other"}', "[]", '{"sequence":1}'])
def test_a_broken_state_file_is_said_and_never_taken_for_an_empty_one(obedient, tmp_path, text):
    obedient().publish("k1")
    (file,) = tmp_path.glob("revoked-keys-*.json")
    file.write_text(text)
    with pytest.raises(UnavailableError) as caught:
        obedient()
    assert str(caught.value.reason) == "source.malformed"


def test_a_disk_that_cannot_be_written_refuses_more_and_never_less(obedient, tmp_path, clock):
    folder = tmp_path / "state"
    folder.mkdir()
    one = obedient(folder=folder)
    one.publish("k1")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert str(one.publish("k1", "k2", sequence=2).reason) == "source.unavailable"
    assert one.key_revoked(ISSUER, "k2")
    assert one.feeds.status()[ISSUER].sequence == 1
    clock.advance(301)
    assert one.stale()


def test_a_new_root_key_in_the_pinned_file_needs_no_restart(obedient, root, tmp_path):
    file, second = tmp_path / "root.json", PrivateJWK.generate("Ed25519", key_id="root-2")
    file.write_text(json.dumps({"keys": [root.public.to_dict()]}))
    one = obedient(pinned=TrustRoot.from_file(file))
    one.publish("k1")
    assert str(one.publish("k1", sequence=2, key=second).reason) == "key.not_found"
    file.write_text(json.dumps({"keys": [root.public.to_dict(), second.public.to_dict()]}))
    assert one.publish("k1", sequence=2, key=second).reason is None
    file.write_text(json.dumps({"keys": [second.public.to_dict()]}))
    assert str(one.publish("k1", sequence=3).reason) == "key.not_found"
    file.write_text("broken")
    assert str(one.publish("k1", sequence=3, key=second).reason) == "source.unavailable"
    file.write_text(json.dumps({"keys": [second.public.to_dict()]}))
    assert one.publish("k1", sequence=3, key=second).reason is None


def test_a_pinned_file_without_a_public_key_is_refused(tmp_path):
    file = tmp_path / "root.json"
    secret = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0", "alg": "HS256"}
    for text in ("", "{}", '{"keys":[]}', json.dumps({"keys": [secret]})):
        file.write_text(text)
        with pytest.raises(ConfigurationError):
            TrustRoot.from_file(file)
    with pytest.raises(ConfigurationError):
        TrustRoot.from_file(tmp_path / "absent")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_fetches_for_itself(server, root, tmp_path):
    program = f"""
import os, sys, time
from pathlib import Path
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.revocation_feeds import ObeyedFeed, RevocationFeeds
from sealwright.trust.statement_reader import ReaderSettings
from sealwright.trust.trust_root import TrustRoot
root = JWKSet.from_dict({{"keys": [{root.public.to_dict()!r}]}})
feed = ObeyedFeed({ISSUER!r}, {server.url!r})
settings = ReaderSettings(refresh_s=0.05, floor_s=0.05)
feeds = RevocationFeeds([feed], TrustRoot(root), Path({str(tmp_path)!r}), settings=settings).start()
assert feeds.wait_current(10)
if os.fork() == 0:
    assert not feeds.key_revoked({ISSUER!r}, "k1")
    print("child", flush=True)
    deadline = time.monotonic() + 20
    while not feeds.key_revoked({ISSUER!r}, "k1") and time.monotonic() < deadline:
        time.sleep(0.02)
    revoked = feeds.key_revoked({ISSUER!r}, "k1")
    feeds.close()
    os._exit(0 if revoked else 1)
feeds.close()
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    one = Obedient(server, SYSTEM_CLOCK, None, root, tmp_path)
    server.body = one.text()
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "child\n"
        server.body = one.text("k1", sequence=2)
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.stdout.close()


WRITER = """
import sys
from pathlib import Path
from sealwright.trust.state_file import Remembered, StateFile
file, start = StateFile(Path(sys.argv[1]), "s"), int(sys.argv[2])
print("go", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    kept = file.keep(Remembered(start + number, frozenset([f"k{start + number}"])))
    assert kept.sequence >= start + number
"""


def test_two_workers_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "state.json"
    arguments = [[sys.executable, "-c", WRITER, str(path), str(start), "60"] for start in (0, 1000)]
    workers = [subprocess.Popen(each, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for each in arguments]
    for worker in workers:
        worker.stdout.readline()
    for worker in workers:
        worker.stdin.close()
    assert [worker.wait(60) for worker in workers] == [0, 0]
    for worker in workers:
        worker.stdout.close()
    kept = StateFile(path, "s").read()
    assert kept.sequence == 1059
    assert kept.revoked == {f"k{start + number}" for start in (0, 1000) for number in range(60)}


def test_a_kill_in_the_middle_of_a_write_leaves_a_whole_file(tmp_path):
    path, before = tmp_path / "state.json", Remembered()
    for round_ in range(8):
        start = round_ * 100_000
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(start), "100000"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        writer.stdout.readline()
        time.sleep(0.01 * round_)
        writer.send_signal(signal.SIGKILL)
        writer.wait(10)
        writer.stdout.close()
        after = StateFile(path, "s").read()
        assert after.sequence >= before.sequence
        assert after.revoked >= before.revoked
        assert StateFile(path, "s").keep(Remembered(after.sequence)) == after  # no lock was left behind
        before = after
    assert before.sequence >= 0
    assert Path(path).exists()
