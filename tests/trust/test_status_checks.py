"""Verifiers ask others about tokens: status lists and introspection, over real HTTP that behaves well or badly."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.errors import ConfigurationError, Reason
from sealwright.events import Event, TokenStatusAsked, TokenStatusChecked
from sealwright.jose import base64url, header, strict_json
from sealwright.statements.status_list import TYP, encode, pack, statement_claims
from sealwright.trust.decision import Decision
from sealwright.trust.introspection import IntrospectionCheck
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.status_list import StatusListCheck
from sealwright.trust.token_check import TokenCheck

ISSUER = "https://id.example"
KEY = sw.PrivateJWK.generate("ES256", key_id="k")
OTHER = sw.PrivateJWK.generate("ES256", key_id="other")


class Place:
    """Answers every request with what it is told to, and remembers who asked."""

    def __init__(self) -> None:
        self.answer: Callable[[str, bytes], tuple[int, dict[str, str], bytes]] = lambda *_: (500, {}, b"")
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        place = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                place.asked.append((self.path, dict(self.headers), body))
                place.gate.wait(20)
                status, headers, sent = place.answer(self.path, body)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(sent)))
                    self.end_headers()
                    self.wfile.write(sent)
                except OSError:
                    pass  # whoever asked has hung up

            do_POST = do_GET  # noqa: N815 - the name that the server looks for

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def place() -> Iterator[Place]:
    opened = Place()
    yield opened
    opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class World:
    """An issuer whose tokens have places in one list, and a verifier with one check."""

    def __init__(self, place: Place, clock: ManualClock) -> None:
        self.place, self.clock = place, clock
        self.uri = f"{place.url}/lists/0"
        self.events: list[Event] = []
        self.changed: dict[int, int] = {}
        self.signed_by, self.typ = KEY, TYP
        self.said: dict[str, Any] = {}
        place.answer = lambda *_: (200, {"Content-Type": f"application/{TYP}"}, self.list())

    def list(self) -> bytes:
        listed = pack(self.changed, size=64, bits=2)
        claims = statement_claims(self.uri, listed, now=self.clock.now(), lifetime_s=300, ttl_s=60) | self.said
        kept = {name: value for name, value in claims.items() if value is not None}
        return sw.sign(strict_json.encode_object(kept), self.signed_by, typ=self.typ).encode()

    def token(self, index: Any = 3, uri: str | None = None, **claims: Any) -> str:
        status = {"status_list": {"idx": index, "uri": uri or self.uri}}
        return self.plain(status=status, **claims)

    def plain(self, **claims: Any) -> str:
        times = {"iat": int(self.clock.now()), "exp": int(self.clock.now()) + 900}
        return sw.sign(strict_json.encode_object({"iss": ISSUER, "aud": "orders", "jti": "t", **times, **claims}), KEY)

    def lists(self, **given: Any) -> StatusListCheck:
        prefixes = given.pop("prefixes", [f"{self.place.url}/lists/"])
        wired: dict[str, Any] = {"clock": self.clock, "observer": self, "label": "id", "timeout_s": 2.0}
        return StatusListCheck(StaticKeys(KEY.public), prefixes=prefixes, **(wired | given))

    def introspection(self, **given: Any) -> IntrospectionCheck:
        wired: dict[str, Any] = {"clock": self.clock, "observer": self, "label": "id", "timeout_s": 2.0}
        return IntrospectionCheck(f"{self.place.url}/introspect", lambda: "cred", **(wired | given))

    def verifier(self, check: TokenCheck, revocation: Any = None) -> sw.Verifier:
        policy = VerificationPolicy(issuer=ISSUER, audience="orders")
        issuer = TrustedIssuer(policy, StaticKeys(KEY.public), checks=(check,))
        return sw.Verifier(issuers=[issuer], clock=self.clock, revocation=revocation)

    def observe(self, event: Event) -> None:
        self.events.append(event)

    def outcomes(self) -> list[tuple[str, bool]]:
        return [(one.outcome, one.cached) for one in self.events if isinstance(one, TokenStatusChecked)]

    def failures(self) -> set[Reason | None]:
        return {one.reason for one in self.events if isinstance(one, TokenStatusAsked)}

    def answers(self, **members: Any) -> None:
        self.place.answer = lambda *_: (200, {}, json.dumps(members).encode())


@pytest.fixture
def world(place: Place, clock: ManualClock) -> World:
    return World(place, clock)


def both(verifier: sw.Verifier, token: str) -> Decision:
    """The same decision, sync and async and explained."""
    decisions = [
        verifier.decide(token),
        asyncio.run(verifier.adecide(token)),
        verifier.decide(token, explain=True),
    ]
    assert len({(one.outcome, one.reason) for one in decisions}) == 1
    return decisions[0]


def until(happens: Callable[[], bool]) -> None:
    for _ in range(1000):
        if happens():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen")


# Status lists


@pytest.mark.parametrize(
    ("status", "reason"),
    [(0, None), (1, Reason.TOKEN_REVOKED), (2, Reason.TOKEN_SUSPENDED), (3, Reason.TOKEN_INACTIVE)],
)
def test_the_status_of_a_token_decides(world: World, status: int, reason: Reason | None) -> None:
    world.changed[3] = status
    verifier = world.verifier(world.lists())
    assert both(verifier, world.token(3)).reason == reason
    assert both(verifier, world.token(4)).accepted
    assert len(world.place.asked) == 1
    assert world.place.asked[0][1]["Accept"] == "application/statuslist+jwt"
    assert [cached for _, cached in world.outcomes()] == [False] + [True] * 5


def test_a_token_without_a_status_passes_unless_one_is_required(world: World) -> None:
    assert both(world.verifier(world.lists()), world.plain()).accepted
    assert both(world.verifier(world.lists(required=True)), world.plain()).reason == Reason.CLAIMS_MISSING
    assert not world.place.asked


@pytest.mark.parametrize("index", [32, 64, 2**53 - 1])
def test_an_index_beyond_the_list_is_refused(world: World, index: int) -> None:
    world.said = {"status_list": encode(pack({}, size=32, bits=2))}
    decision = both(world.verifier(world.lists(on_failure="accept")), world.token(index))
    assert (decision.outcome, decision.reason) == ("rejected", Reason.CLAIMS_MALFORMED)


@pytest.mark.parametrize("index", [-1, True, 1.0, "3", None, 2**53])
def test_a_status_of_the_wrong_type_is_refused(world: World, index: Any) -> None:
    assert both(world.verifier(world.lists()), world.token(index)).reason == Reason.CLAIMS_WRONG_TYPE
    assert not world.place.asked


@pytest.mark.parametrize(
    "uri",
    [
        "{}/other/0",
        "{}/listsX/0",
        "{}/lists/../admin",
        "{}/lists/%2e%2e/admin",
        "{}/lists/0#x",
        "{}@evil.example/lists/0",
        "{}.evil.example/lists/0",
        "HTTP://127.0.0.1/lists/0",
        "http://169.254.169.254/lists/0",
        "https://evil.example/lists/0",
        "file:///etc/passwd",
        "//lists/0",
        "",
        "{}/lists/a b",
        "{}/lists/\r\nHost: x",
    ],
)
def test_a_list_anywhere_else_is_never_fetched(world: World, uri: str) -> None:
    shown = uri.format(world.place.url)
    decision = both(world.verifier(world.lists(on_failure="accept")), world.token(3, shown or " "))
    assert (decision.outcome, decision.reason) == ("rejected", Reason.CLAIMS_MALFORMED)
    assert not world.place.asked


def test_nothing_is_fetched_for_a_token_whose_signature_does_not_hold(world: World) -> None:
    token = world.token()
    assert not world.verifier(world.lists()).decide(token[:-4] + "AAAA").accepted
    assert not world.place.asked


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"typ": "JWT"}, Reason.HEADER_TYPE),
        ({"typ": "at+jwt"}, Reason.HEADER_TYPE),
        ({"signed_by": OTHER}, Reason.KEY_NOT_FOUND),
        ({"signed_by": sw.PrivateJWK.generate("ES256", key_id="k")}, Reason.SIGNATURE_INVALID),
        ({"said": {"sub": "https://id.example/other"}}, Reason.STATEMENT_MALFORMED),
        ({"said": {"exp": 1_699_999_900}}, Reason.STATEMENT_MALFORMED),
        ({"said": {"iat": 1_700_000_100}}, Reason.STATEMENT_MALFORMED),
        ({"said": {"iat": None}}, Reason.STATEMENT_MALFORMED),
        ({"said": {"ttl": -1}}, Reason.STATEMENT_MALFORMED),
        ({"said": {"status_list": 5}}, Reason.STATEMENT_MALFORMED),
        (
            {"said": {"status_list": {"bits": 1, "lst": base64url.encode_text(zlib.compress(bytes(9 * 2**20)))}}},
            Reason.STATEMENT_MALFORMED,
        ),
    ],
)
def test_a_list_that_cannot_be_believed_leaves_its_tokens_undecided(
    world: World, changes: dict[str, Any], reason: Reason
) -> None:
    for name, value in changes.items():
        setattr(world, name, value)
    decision = both(world.verifier(world.lists()), world.token())
    assert (decision.outcome, decision.reason) == ("undecided", Reason.REVOCATION_UNAVAILABLE)
    assert world.failures() == {reason}


def naming_no_key(signed: bytes) -> bytes:
    said = b".".join([header.encode("ES256", None, TYP), signed.split(b".")[1]])
    return b".".join([said, base64url.encode_text(KEY.sign(said)).encode()])


@pytest.mark.parametrize("names_its_key", [True, False])
def test_a_list_signed_by_a_revoked_key_does_not_count(world: World, names_its_key: bool) -> None:
    if not names_its_key:
        world.place.answer = lambda *_: (200, {}, naming_no_key(world.list()))
        assert both(world.verifier(world.lists()), world.token()).accepted

    class Revoked:
        def key_revoked(self, issuer: str, key_id: str) -> bool:
            return (issuer, key_id) == (ISSUER, "k")

        def token_revoked(self, issuer: str, token_id: str) -> bool:
            return False

    decision = both(world.verifier(world.lists(revocation=Revoked())), world.token())
    assert decision.reason == Reason.REVOCATION_UNAVAILABLE


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500, 204])
def test_a_place_that_does_not_answer_with_a_list_is_not_followed(world: World, status: int) -> None:
    headers = {"Location": f"{world.place.url}/lists/elsewhere"}
    world.place.answer = lambda *_: (status, headers, b"")
    assert both(world.verifier(world.lists()), world.token()).reason == Reason.REVOCATION_UNAVAILABLE
    assert {path for path, _, _ in world.place.asked} == {"/lists/0"}
    assert world.failures() == {Reason.SOURCE_UNAVAILABLE}


def test_an_answer_that_is_too_large_is_not_read(world: World) -> None:
    world.place.answer = lambda *_: (200, {}, b"x" * (3 * 2**20))
    assert both(world.verifier(world.lists()), world.token()).outcome == "undecided"


def test_who_chose_to_let_tokens_through_does_and_it_is_counted(world: World) -> None:
    world.place.answer = lambda *_: (500, {}, b"")
    assert both(world.verifier(world.lists(on_failure="accept")), world.token()).accepted
    assert {outcome for outcome, _ in world.outcomes()} == {"let_through"}


def test_a_list_is_asked_for_again_when_its_ttl_is_over_whatever_http_says(world: World, clock: ManualClock) -> None:
    body = world.list
    world.place.answer = lambda *_: (200, {"Cache-Control": "max-age=86400"}, body())
    verifier = world.verifier(world.lists())
    assert both(verifier, world.token()).accepted
    world.changed[3] = 1
    clock.advance(47)
    assert both(verifier, world.token()).accepted
    assert len(world.place.asked) == 1
    clock.advance(14)
    assert both(verifier, world.token()).reason == Reason.TOKEN_REVOKED
    assert len(world.place.asked) == 2


@pytest.mark.parametrize(
    ("said", "fresh_s"),
    [({"exp": None}, 60), ({"exp": None, "ttl": None}, 20), ({"ttl": None}, 300), ({"ttl": 9999, "exp": None}, 300)],
)
def test_how_long_a_list_is_fresh(world: World, clock: ManualClock, said: dict[str, Any], fresh_s: int) -> None:
    world.said, world.place.answer = said, lambda *_: (200, {"Cache-Control": "max-age=20"}, world.list())
    check = world.lists()
    began = clock.monotonic()
    assert world.verifier(check).decide(world.token()).accepted
    assert check._lists._kept[world.uri].fresh_until - began == fresh_s


def test_a_list_is_renewed_ahead_while_nobody_waits(world: World, clock: ManualClock) -> None:
    verifier = world.verifier(world.lists())
    assert verifier.decide(world.token()).accepted
    world.changed[3] = 1
    clock.advance(50)
    assert verifier.decide(world.token()).accepted  # and somebody is on the way
    until(lambda: verifier.decide(world.token()).reason == Reason.TOKEN_REVOKED)
    assert len(world.place.asked) == 2


def test_an_outage_is_bridged_for_as_long_as_was_promised_and_no_longer(world: World, clock: ManualClock) -> None:
    verifier = world.verifier(world.lists(usable_s=200))
    world.changed[4] = 1
    assert both(verifier, world.token()).accepted
    world.place.answer = lambda *_: (500, {}, b"")
    for _ in range(3):
        clock.advance(65)
        assert both(verifier, world.token(3)).accepted
        assert both(verifier, world.token(4)).reason == Reason.TOKEN_REVOKED
    clock.advance(6)
    assert both(verifier, world.token()).reason == Reason.REVOCATION_UNAVAILABLE


def test_no_list_is_used_beyond_its_expiry(world: World, clock: ManualClock) -> None:
    world.said = {"exp": int(clock.now()) + 30, "ttl": 3000}
    verifier = world.verifier(world.lists(usable_s=3600))
    assert both(verifier, world.token()).accepted
    world.place.answer = lambda *_: (500, {}, b"")
    clock.advance(91)  # with the leeway of a minute
    assert both(verifier, world.token()).reason == Reason.REVOCATION_UNAVAILABLE


def test_an_older_list_never_replaces_a_newer_one(world: World, clock: ManualClock) -> None:
    before = world.list()
    world.changed[3] = 1
    clock.advance(5)
    verifier = world.verifier(world.lists())
    assert both(verifier, world.token()).reason == Reason.TOKEN_REVOKED
    world.place.answer = lambda *_: (200, {}, before)
    clock.advance(61)
    assert both(verifier, world.token()).reason == Reason.TOKEN_REVOKED
    assert Reason.STATEMENT_ROLLED_BACK in world.failures()


def test_those_who_come_at_once_share_one_fetch(world: World) -> None:
    verifier, token, outcomes = world.verifier(world.lists()), world.token(), list[str]()
    world.place.gate.clear()

    async def ask_many() -> None:
        tasks = [asyncio.create_task(verifier.adecide(token)) for _ in range(20)]
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in tasks)  # and the loop goes on meanwhile
        world.place.gate.set()
        outcomes.extend([(await task).outcome for task in tasks])

    threads = [threading.Thread(target=lambda: outcomes.append(verifier.decide(token).outcome)) for _ in range(20)]
    for thread in threads:
        thread.start()
    asyncio.run(ask_many())
    for thread in threads:
        thread.join()
    assert outcomes == ["accepted"] * 40
    assert len(world.place.asked) == 1


def test_who_gives_up_takes_the_answer_from_nobody(world: World, caplog: pytest.LogCaptureFixture) -> None:
    verifier, token, outcomes = world.verifier(world.lists()), world.token(), list[str]()
    world.place.gate.clear()
    waiting = threading.Thread(target=lambda: outcomes.append(verifier.decide(token).outcome))
    waiting.start()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(verifier.adecide(token), 0.05)

    asyncio.run(give_up())
    world.place.gate.set()
    waiting.join()
    assert outcomes == ["accepted"]
    assert len(world.place.asked) == 1
    assert not caplog.records


def test_a_place_that_hangs_keeps_nobody_who_has_a_list(world: World, clock: ManualClock) -> None:
    verifier = world.verifier(world.lists(timeout_s=15))
    assert verifier.decide(world.token()).accepted
    world.place.gate.clear()
    clock.advance(50)
    for _ in range(50):  # while it is fresh, and asked for again
        assert verifier.decide(world.token()).accepted
    until(lambda: len(world.place.asked) == 2)
    clock.advance(15)
    began = time.monotonic()
    for _ in range(50):  # while it is usable
        assert verifier.decide(world.token()).accepted
        assert asyncio.run(verifier.adecide(world.token())).accepted
    assert time.monotonic() - began < 10  # each of them would wait for 15 s


def test_a_place_that_hangs_is_given_up(world: World) -> None:
    world.place.gate.clear()
    decision = world.verifier(world.lists()).decide(world.token())
    assert (decision.outcome, decision.reason) == ("undecided", Reason.REVOCATION_UNAVAILABLE)


def test_lists_are_bounded_in_number(world: World) -> None:
    check = world.lists(maximum_lists=3)
    verifier = world.verifier(check)
    for number in range(10):
        world.uri = f"{world.place.url}/lists/{number}"
        assert verifier.decide(world.token()).accepted
    assert len(check._lists._kept) == 3


def test_a_failed_place_is_left_alone_for_a_moment(world: World, clock: ManualClock) -> None:
    world.place.answer = lambda *_: (500, {}, b"")
    verifier = world.verifier(world.lists())
    for _ in range(20):
        assert verifier.decide(world.token()).outcome == "undecided"
    assert len(world.place.asked) == 1
    clock.advance(1.1)
    assert verifier.decide(world.token()).outcome == "undecided"
    assert len(world.place.asked) == 2
    clock.advance(31)
    world.place.answer = lambda *_: (200, {}, world.list())
    assert verifier.decide(world.token()).accepted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_asks_for_itself(world: World) -> None:
    verifier = world.verifier(world.lists())
    world.place.gate.clear()
    waiting = threading.Thread(target=verifier.decide, args=(world.token(),))
    waiting.start()
    until(lambda: bool(world.place.asked))
    child = os.fork()
    if child == 0:
        os._exit(0 if verifier.decide(world.token()).accepted else 1)
    until(lambda: len(world.place.asked) == 2)
    world.place.gate.set()
    assert os.waitpid(child, 0)[1] == 0
    waiting.join()


@pytest.mark.parametrize(
    "prefixes", [[], ["http://id.example/lists"], ["ftp://x"], "https://id.example", ["https://169.254.169.254/"]]
)
def test_places_that_cannot_be_right_are_refused_at_the_start(world: World, prefixes: Any) -> None:
    with pytest.raises(ConfigurationError):
        world.lists(prefixes=prefixes)


# Introspection


def test_an_active_token_is_asked_about_once_a_minute(world: World, clock: ManualClock) -> None:
    world.answers(active=True)
    token = world.plain()
    verifier = world.verifier(world.introspection())
    assert both(verifier, token).accepted
    path, headers, body = world.place.asked[0]
    assert (path, headers["Authorization"], parse_qs(body.decode())["token"]) == ("/introspect", "Bearer cred", [token])
    clock.advance(59)
    assert both(verifier, token).accepted
    assert len(world.place.asked) == 1
    world.answers(active=False)
    clock.advance(2)
    assert both(verifier, token).reason == Reason.TOKEN_INACTIVE
    assert len(world.place.asked) == 2
    assert world.outcomes()[-1] == ("inactive", True)
    clock.advance(6)
    world.answers(active=True)
    assert both(verifier, token).accepted
    assert both(verifier, world.plain(jti="other")).accepted
    assert len(world.place.asked) == 4


@pytest.mark.parametrize(
    ("members", "accepted"),
    [
        ({"iss": ISSUER, "aud": ["orders", "x"], "exp": "own"}, True),
        ({"iss": "https://other.example"}, False),
        ({"aud": "bills"}, False),
        ({"exp": 1_700_000_500}, False),
        ({"exp": 1_699_999_900}, False),
    ],
)
def test_an_answer_about_another_token_is_none(world: World, members: dict[str, Any], accepted: bool) -> None:
    told = {**members, "exp": int(world.clock.now()) + 900} if members.get("exp") == "own" else members
    world.answers(active=True, **told)
    decision = both(world.verifier(world.introspection(on_failure="accept")), world.plain())
    assert (decision.accepted, decision.reason) == (accepted, None if accepted else Reason.TOKEN_INACTIVE)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"active":"true"}', b'{"active":1}', b'{"active":null}', b'{"active":true,"active":true}',
        b'{"active":true,"exp":"x"}', b'{"active":true,"aud":5}', b'{"active":true,"iss":[]}', b"<html>", b"x" * 2**21,
    ],
)  # fmt: skip
def test_an_answer_that_is_none_leaves_the_token_undecided(world: World, body: bytes) -> None:
    world.place.answer = lambda *_: (200, {}, body)
    assert both(world.verifier(world.introspection()), world.plain()).reason == Reason.REVOCATION_UNAVAILABLE


@pytest.mark.parametrize("status", [302, 401, 403, 500, 503])
def test_an_endpoint_that_cannot_be_asked_leaves_tokens_undecided_or_lets_them_through(
    world: World, status: int
) -> None:
    world.place.answer = lambda *_: (status, {"Location": f"{world.place.url}/other"}, b'{"active":true}')
    assert both(world.verifier(world.introspection()), world.plain()).reason == Reason.REVOCATION_UNAVAILABLE
    assert both(world.verifier(world.introspection(on_failure="accept")), world.plain()).accepted
    assert {path for path, _, _ in world.place.asked} == {"/introspect"}
    assert {outcome for outcome, _ in world.outcomes()} == {"undecided", "let_through"}


def test_a_credential_that_cannot_be_read_leaves_tokens_undecided(world: World) -> None:
    def credential() -> str:
        raise OSError("gone")

    check = IntrospectionCheck(f"{world.place.url}/introspect", credential, clock=world.clock)
    assert both(world.verifier(check), world.plain()).reason == Reason.REVOCATION_UNAVAILABLE
    assert not world.place.asked


def test_answers_are_bounded_in_number_and_hold_no_token(world: World) -> None:
    world.answers(active=True)
    check = world.introspection(maximum_answers=5)
    verifier = world.verifier(check)
    tokens = [world.plain(jti=str(number)) for number in range(12)]
    for token in tokens:
        assert verifier.decide(token).accepted
    assert len(check._answers._kept) == 5
    assert not any(token in repr(vars(check)) + repr(check._answers._kept) for token in tokens)


def test_too_many_questions_at_once_are_not_asked(world: World) -> None:
    world.answers(active=True)
    world.place.gate.clear()
    verifier = world.verifier(world.introspection(maximum_flights=2))
    threads = [threading.Thread(target=verifier.decide, args=(world.plain(jti=str(n)),)) for n in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: len(world.place.asked) == 2)
    assert verifier.decide(world.plain(jti="more")).reason == Reason.REVOCATION_UNAVAILABLE
    assert len(world.place.asked) == 2
    world.place.gate.set()
    for thread in threads:
        thread.join()
    assert verifier.decide(world.plain(jti="more")).accepted


def test_an_answer_is_not_kept_for_longer_than_a_minute() -> None:
    with pytest.raises(ConfigurationError):
        IntrospectionCheck("https://id.example/introspect", lambda: "", positive_s=61)
    with pytest.raises(ConfigurationError):
        IntrospectionCheck("http://id.example/introspect", lambda: "")


def test_a_thread_that_cannot_be_started_strands_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.answers(active=True)
    verifier, token = world.verifier(world.introspection(maximum_flights=1)), world.plain()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert verifier.decide(token).reason == Reason.REVOCATION_UNAVAILABLE
    assert both(verifier, token).accepted


def test_a_failure_that_is_remembered_keeps_nothing_of_the_question(world: World) -> None:
    check = IntrospectionCheck("http://127.0.0.1:9/introspect", lambda: "cred", clock=world.clock)
    assert world.verifier(check).decide(world.plain()).outcome == "undecided"
    (failure,) = check._answers._failures.values()
    error: BaseException | None = failure.error
    while error is not None:
        assert error.__traceback__ is None
        error = error.__cause__ or error.__context__
