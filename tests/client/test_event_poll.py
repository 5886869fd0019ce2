"""The closed loop at a verifier: it reports, hears of events, fetches, tries what it is asked to, and reports again."""

import subprocess
import sys
import threading
import time

import pytest
from poll_server import PollServer

from sealwright.events import EventsPolled, TokenDecided
from sealwright.jose import strict_json
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.signing import sign
from sealwright.statements.verifier_reports import parse_report
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.revocation_feeds import ObeyedFeed
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.statement_reader import ReaderSettings
from sealwright.trust.verifier import Verifier
from sealwright.wiring.obeying import build_obeying

ROOT = PrivateJWK.generate("ES256", key_id="root-1")
K1, K2 = (PrivateJWK.generate("ES256", key_id=key_id) for key_id in ("k1", "k2"))
SLOW = ReaderSettings(refresh_s=3600.0)  # only an event makes it fetch again


def canary(server, key, audience, kind="canary", **changes):
    now = int(time.time())
    claims = {"iss": server.issuer, "aud": audience, "sub": kind, "iat": now, "exp": now + 600, **changes}
    token = sign(strict_json.encode_object(claims), key, typ="at+jwt")
    return {"kind": kind, "token": token, "audience": audience}


@pytest.fixture
def server():
    server = PollServer(ROOT)
    server.keys = [K1]
    yield server
    server.stop()


class Seen:
    """An Observer that keeps what it saw."""

    def __init__(self):
        self.seen = []
        self.observe = self.seen.append


class Verifying:
    def __init__(self, server, folder, **policy):
        self.events = Seen()
        (folder / "root.json").write_bytes(strict_json.encode_object({"keys": [ROOT.public.to_dict()]}))
        (folder / "credential").write_text("the-credential\n")
        self.obeying = build_obeying(
            name="orders-verifier",
            trust_root_file=folder / "root.json",
            state_folder=folder / "state",
            feeds=[ObeyedFeed(server.issuer, server.feed_url)],
            service_url=server.url,
            credential_file=folder / "credential",
            settings=SLOW,
            observer=self.events,
        )
        rules = {"issuer": server.issuer, "audience": "orders", "typ": "JWT", **policy}
        trusted = TrustedIssuer(VerificationPolicy(**rules), RemoteJWKSet(server.jwks_url))
        self.verifier = Verifier(issuers=[trusted], revocation=self.obeying.revocation, observer=self.obeying.observer)
        self.obeying.start(self.verifier)
        self.obeying.check_ready(10)
        server.wait_for_polls(lambda poll: report_of(poll, server).sequence == server.sequence)

    def close(self):
        self.obeying.close()
        self.verifier.close()


@pytest.fixture
def verifying(server, tmp_path):
    made = []

    def make(**policy):
        made.append(Verifying(server, tmp_path, **policy))
        return made[-1]

    yield make
    for one in made:
        one.close()


def report_of(poll, server):
    return parse_report(poll["verifier"]).issuers[server.issuer]


def test_a_poll_says_what_is_enforced_and_what_was_accepted(server, verifying):
    one = verifying()
    before = server.wait_for_polls(lambda _: True)
    assert (before["maxEvents"], before["returnImmediately"]) == (64, False)
    assert server.headers[0]["Authorization"] == "Bearer the-credential"
    began = time.time()
    token = sign(
        strict_json.encode_object({"iss": server.issuer, "aud": "orders", "exp": int(began) + 60}), K1, typ="JWT"
    )
    assert one.verifier.decide(token).outcome == "accepted"
    server.answer()
    said = report_of(server.wait_for_polls(lambda poll: report_of(poll, server).keys.get("k1")), server)
    assert said.sequence == 1
    assert began - 1 <= said.keys["k1"] <= time.time() + 1
    assert 0 <= said.feed_age_s < 20
    assert 0 <= said.keys_age_s < 20


def test_an_event_makes_it_fetch_at_once_and_say_so_at_once(server, verifying):
    one = verifying()
    server.wait_for_polls(lambda poll: report_of(poll, server).sequence == 1)
    server.sequence, server.revoked, server.keys = 2, ["k1"], [K2]
    began = time.monotonic()
    server.answer({"e1": server.event("e1")})
    poll = server.wait_for_polls(lambda poll: report_of(poll, server).sequence == 2)
    assert time.monotonic() - began < 5.0
    assert set(report_of(poll, server).keys) == {"k2"}
    assert one.obeying.revocation.key_revoked(server.issuer, "k1")
    acknowledged = server.wait_for_polls(lambda poll: poll["ack"])
    assert acknowledged["ack"] == ["e1"]
    assert acknowledged["setErrs"] == {}


FORGERIES = {
    "by a token key": {"key": K1},
    "under the root's name": {"key": PrivateJWK.generate("ES256", key_id="root-1")},
    "of another type": {"typ": "at+jwt"},
    "of another service": {"transmitter": "https://other.example"},
    "for another verifier": {"audience": "another"},
    "with an end": {"exp": 2**32},
    "about something else": {"events": {"urn:other": {}}},
    "under another name": {"jti": "e2"},
}


@pytest.mark.parametrize("changes", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_event_is_reported_and_makes_nobody_fetch(server, verifying, changes):
    one = verifying()
    server.wait_for_polls(lambda poll: report_of(poll, server).sequence == 1)
    fetched = server.feed_fetches
    server.answer({"e1": server.event("e1", sequence=9, **changes)})
    poll = server.wait_for_polls(lambda poll: poll["setErrs"])
    assert set(poll["setErrs"]) == {"e1"}
    assert poll["setErrs"]["e1"]["err"].startswith(("invalid_", "authentication_failed"))
    assert poll["ack"] == []
    assert server.feed_fetches == fetched
    assert one.obeying.status()[1].refused == 1
    assert any(isinstance(event, EventsPolled) and event.refused == 1 for event in one.events.seen)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.", "é" * 100])
def test_an_event_that_is_no_token_is_reported_or_the_answer_refused(server, verifying, token):
    verifying()
    server.wait_for_polls(lambda poll: report_of(poll, server).sequence == 1)
    polls = len(server.polls)
    server.answer({"e1": token})
    server.wait_for_polls(lambda poll: poll["setErrs"] or len(server.polls) > polls)


def test_late_and_repeated_events_do_no_harm(server, verifying):
    one = verifying()
    server.wait_for_polls(lambda poll: report_of(poll, server).sequence == 1)
    server.sequence = 5
    late = server.event("e0", sequence=3)
    for _ in range(3):
        server.answer({"e0": late, "e1": server.event("e1")})
    server.wait_for_polls(lambda poll: report_of(poll, server).sequence == 5 and set(poll["ack"]) == {"e0", "e1"})
    assert one.obeying.status()[1].events == 2
    assert one.obeying.status()[1].refused == 0


def test_a_rehearsal_is_tried_by_the_real_rules_and_counts_nowhere(server, verifying):
    one = verifying(typ="at+jwt", required_claims=frozenset({"tenant"}), maximum_lifetime_s=60.0)
    server.keys = [K1, K2]
    server.answer(trials={"t1": canary(server, K2, "urn:sealwright:rehearsal:7", "rehearsal")})
    tried = server.wait_for_polls(lambda poll: poll["verifier"]["tried"].get("t1", {}).get("outcome") == "accepted")
    assert tried["verifier"]["tried"]["t1"]["reason"] is None
    assert not [event for event in one.events.seen if isinstance(event, TokenDecided)]
    trial = canary(server, K2, "urn:sealwright:rehearsal:7", "rehearsal")
    assert one.verifier.decide(trial["token"]).reason == "claims.audience"


def test_a_rehearsal_that_would_not_work_everywhere_says_why(server, verifying):
    verifying(typ="at+jwt", algorithms=frozenset({"RS256"}))
    server.answer(trials={"t1": canary(server, K1, "urn:sealwright:rehearsal:7", "rehearsal")})
    tried = server.wait_for_polls(lambda poll: poll["verifier"]["tried"])["verifier"]["tried"]["t1"]
    assert (tried["outcome"], tried["reason"]) == ("rejected", "algorithm.not_allowed")


def test_a_canary_is_tried_until_it_is_refused_for_its_key(server, verifying):
    verifying()  # which asks for another type than that of the canary
    server.answer(trials={"c1": canary(server, K1, "sealwright:revocation-canary")})
    server.wait_for_polls(lambda poll: poll["verifier"]["tried"].get("c1", {}).get("outcome") == "accepted")
    server.sequence, server.revoked = 2, ["k1"]
    began = time.monotonic()
    server.answer({"e1": server.event("e1")})
    tried = server.wait_for_polls(lambda poll: poll["verifier"]["tried"].get("c1", {}).get("outcome") == "rejected")
    assert tried["verifier"]["tried"]["c1"]["reason"] == "key.revoked"
    assert time.monotonic() - began < 5.0
    server.answer(trials={"c1": canary(server, K1, "sealwright:revocation-canary")})
    server.answer()
    polls = len(server.polls)
    server.wait_for_polls(lambda _: len(server.polls) >= polls + 1)
    assert "c1" not in server.polls[-1]["verifier"]["tried"]


def test_what_changed_while_a_poll_is_held_is_said_at_once(server, verifying):
    """The feed's own refresh found it; the poll that is open ends, and nothing is lost with it."""
    one = verifying()
    server.wait_for_polls(lambda poll: report_of(poll, server).sequence == 1)
    server.sequence = 2
    began = time.monotonic()
    one.obeying.revocation.ask(server.issuer)
    server.wait_for_polls(lambda poll: report_of(poll, server).sequence == 2)
    assert time.monotonic() - began < 5.0
    assert one.obeying.status()[1].last_error is None


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (500, b""),
        (404, b"{}"),
        (401, b'{"reason":"credential.denied"}'),
        (200, b"<html>"),
        (200, b'{"sets":7}'),
        (200, b"[" * 9_000_000),
    ],
    ids=["fails", "has no poll", "denies", "is no API", "answers another shape", "answers without end"],
)
def test_a_service_that_answers_badly_is_left_alone_for_a_while_and_polled_again(server, verifying, status, raw):
    one = verifying()
    server.wait_for_polls(lambda _: True)
    server.status, server.raw = status, raw
    server.answer()
    deadline = time.monotonic() + 10
    while one.obeying.status()[1].last_error is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert one.obeying.status()[1].last_error is not None
    assert len(server.polls) < 10
    assert one.obeying.revocation.status()[server.issuer].current
    server.status, server.raw = 200, None
    polls = len(server.polls)
    server.wait_for_polls(lambda _: len(server.polls) > polls)


def test_a_service_that_holds_no_poll_is_not_hammered(server, verifying):
    server.holds_s = 0.0
    verifying()
    time.sleep(2.0)
    assert len(server.polls) <= 6


def test_close_cuts_the_poll_that_is_held(server, verifying):
    before = set(threading.enumerate())
    one = verifying()
    server.wait_for_polls(lambda _: True)
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 4.0
    assert not [one for one in set(threading.enumerate()) - before if one.name.startswith("sealwright")]


def test_one_connection_is_open_at_a_time(server, verifying):
    verifying()
    for number in range(5):
        server.answer({f"e{number}": server.event(f"e{number}")})
    server.wait_for_polls(lambda poll: "e4" in poll["ack"])
    assert server.open <= 1


FORKING = """
import os, sys
from pathlib import Path
from sealwright.trust.revocation_feeds import ObeyedFeed
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.verifier import Verifier
from sealwright.wiring.obeying import build_obeying
url, folder = sys.argv[1], Path(sys.argv[2])
issuer = url + "/issuers/default"
obeying = build_obeying(
    name="orders-verifier", trust_root_file=folder / "root.json", state_folder=folder / "state",
    feeds=[ObeyedFeed(issuer, url + "/feed")], service_url=url, credential_file=folder / "credential",
)
verifier = Verifier(issuer=issuer, audience="orders", keys=RemoteJWKSet(url + "/jwks"), revocation=obeying.revocation)
obeying.start(verifier)
sys.stdin.buffer.raw.read(1)
child = os.fork()
sys.stdin.buffer.raw.read(1)
obeying.close()
if child:
    os.wait()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(sys, "getswitchinterval"), reason="needs fork")
def test_after_a_fork_both_processes_poll_under_names_of_their_own(server, tmp_path):
    (tmp_path / "root.json").write_bytes(strict_json.encode_object({"keys": [ROOT.public.to_dict()]}))
    (tmp_path / "credential").write_text("the-credential")
    child = subprocess.Popen([sys.executable, "-c", FORKING, server.url, str(tmp_path)], stdin=subprocess.PIPE)
    try:
        server.wait_for_polls(lambda _: True)  # so that no thread is in the middle of an import when it forks
        child.stdin.write(b"f")
        child.stdin.flush()
        seen = set()
        server.wait_for_polls(lambda poll: seen.add(poll["verifier"]["instance"]) or len(seen) >= 2)
    finally:
        child.stdin.close()
        code = child.wait(20)
    assert code == 0
