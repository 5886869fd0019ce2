"""Verifiers poll the key service: they are told at once what they lack, and cost little while they wait."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3
from forwarder import Forwarder
from polling_verifier import PollingVerifier
from postgresql import database_of, shared_cluster
from running_service import RunningService, eventually
from three_replicas import PUBLIC_URL, kill_all, start_replicas

import sealwright as sw
from sealwright.statements.security_events import KEYS_CHANGED, parse_event

ISSUERS = '{"default": "ES256", "payments": "ES256", "quiet": "ES256"}'
ROTATE = {"reason": "drill", "force": True}


def credential(service: RunningService, subject: str = "orders", **more: Any) -> str:
    answer = service.request("POST", "/v1/credentials", {"subject": subject, "roles": ["verifier"], **more})
    assert answer.status == 201, answer.body
    return str(answer.json()["token"])


def writes(service: RunningService) -> bool:
    body = {"subject": "orders", "roles": ["verifier"]}
    return service.request("POST", "/v1/credentials", body).status == 201


INSTANCES = (f"instance-{number}" for number in itertools.count())


def verifier(
    service: RunningService, instance: str | None = None, issuer: str = "default", name: str = "orders"
) -> PollingVerifier:
    at = f"{service.url}/issuers/{issuer}"
    return PollingVerifier(service.url, at, credential(service, name), name, instance or next(INSTANCES))


def in_background(call: Callable[[], Any]) -> Any:
    return ThreadPoolExecutor(1).submit(call)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service for all; every test has verifiers of its own."""
    settings = {"SEALWRIGHT_ISSUERS": ISSUERS, "SEALWRIGHT_DENIED_CALLS_BURST": "10000"}
    running = RunningService(tmp_path_factory.mktemp("polls") / "data", settings)
    yield running
    running.kill()


@pytest.fixture(scope="module", autouse=True)
def held(service: RunningService) -> Any:
    """A poll that began before all tests, about an issuer that none of them changes."""
    return in_background(verifier(service, issuer="quiet", name="patient").poll)


def seen(service: RunningService, name: str) -> list[dict[str, Any]]:
    """The processes of a verifier that the service knows of."""
    return [one for one in service.request("GET", "/v1/fleet").json()["verifiers"] if one["name"] == name]


def test_whoever_does_not_want_to_wait_is_answered_at_once(service: RunningService) -> None:
    one = verifier(service)
    for wish in ({"returnImmediately": True}, {"maxEvents": 0}):
        status, took_s, answer = one.poll(**wish)
        assert (status, answer["sets"]) == (200, {})
        assert took_s < 2


def test_a_rotation_wakes_the_verifiers_of_its_issuer_within_a_second_and_no_others(service: RunningService) -> None:
    mine, other = verifier(service), verifier(service, "two", "payments")
    waiting, elsewhere = in_background(mine.poll), in_background(other.poll)
    time.sleep(1)
    began = time.monotonic()
    assert service.request("POST", "/v1/issuers/default/rotate", ROTATE).status == 200
    _, _, answer = waiting.result(20)
    assert time.monotonic() - began < 1
    mine.heed(answer)
    assert mine.poll(returnImmediately=True)[2]["sets"] == {}
    time.sleep(1)
    assert not elsewhere.done()  # though the catalog's version has changed


def test_an_event_is_signed_by_the_trust_root_for_this_verifier_alone(service: RunningService) -> None:
    one = verifier(service)
    service.request("POST", "/v1/issuers/default/rotate", ROTATE)
    ((token_id, token),) = one.poll()[2]["sets"].items()
    root = service.request("GET", "/.well-known/trust-root.jwks.json", credential=None).json()
    jws = sw.verify_signature(token, sw.JWKSet.from_dict(root))
    claims = jws.json()
    assert jws.header.type == "secevent+jwt"
    assert (claims["iss"], claims["aud"], claims["jti"]) == (service.url, "orders", token_id)
    assert not {"exp", "sub"} & claims.keys()
    assert parse_event(claims).issuer == one.issuer
    assert claims["events"][KEYS_CHANGED]["seq"] > (one.sequence or 0)
    assert service.decide(token, "orders")["outcome"] == "rejected"  # it is no token of any issuer


def test_whoever_does_not_heed_an_event_hears_it_again_and_less_and_less_often(service: RunningService) -> None:
    """State decides, so an answer that was lost is no loss; and a verifier that cannot fetch makes no storm."""
    one = verifier(service)
    service.request("POST", "/v1/issuers/default/rotate", ROTATE)
    waits = [one.poll() for _ in range(4)]
    assert all(answer["sets"] for _, _, answer in waits)
    for (_, took_s, _), pause_s in zip(waits, (0, 1, 2, 4), strict=True):
        assert pause_s - 0.3 < took_s < pause_s + 1.5  # a busy machine is late, and never early
    one.heed(waits[-1][2])
    assert one.poll(returnImmediately=True)[2]["sets"] == {}


def test_a_verifier_without_a_feed_hears_of_new_keys_too(service: RunningService) -> None:
    one = verifier(service)
    one.sequence = None
    assert one.poll(returnImmediately=True)[2]["sets"] == {}
    service.request("POST", "/v1/issuers/default/rotate", ROTATE)
    assert one.poll()[2]["sets"]


def test_many_wait_at_once_and_the_service_goes_on(service: RunningService) -> None:
    """Two hundred connections, of twenty verifiers: all are woken, while tokens are signed as before."""
    credentials = {f"v{number}": credential(service, f"v{number}") for number in range(20)}
    first = verifier(service)
    report = first.report()
    with contextlib.ExitStack() as stack:
        sockets = []
        for number in range(200):
            name = f"v{number % 20}"
            said = {**report, "name": name, "instance": str(number)}
            sockets.append(stack.enter_context(contextlib.closing(asked(service, credentials[name], said))))
        time.sleep(1)
        signed_s = timed(service.token)
        assert signed_s < 2
        began = time.monotonic()
        service.request("POST", "/v1/issuers/default/rotate", ROTATE)
        for one in sockets:
            one.settimeout(20)
            assert b'"sets":{"' in answered(one)
        assert time.monotonic() - began < 5
    assert sum(one["name"] in credentials for one in service.request("GET", "/v1/fleet").json()["verifiers"]) == 200


def timed(call: Callable[[], Any]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def asked(service: RunningService, token: str, report: dict[str, Any]) -> socket.socket:
    """A poll that was sent, and whose answer is not read yet."""
    body = json.dumps({"verifier": report}).encode()
    head = (
        f"POST /v1/verifiers/poll HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}"
    )
    opened = socket.create_connection(("127.0.0.1", service.port), 20)
    opened.sendall(head.encode() + b"\r\n\r\n" + body)
    return opened


def answered(opened: socket.socket) -> bytes:
    text = b""
    while b'"trials"' not in text:
        text += (part := opened.recv(65536))
        assert part, text
    return text


def test_stopping_the_service_waits_for_no_poll(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    waiting = in_background(verifier(service).poll)
    time.sleep(1)
    began = time.monotonic()
    assert service.interrupt() == 0
    assert time.monotonic() - began < 8
    assert waiting.result(20)[0] == 200


def test_a_service_that_is_killed_during_a_poll_has_told_nobody_anything_that_it_forgets(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    service = start_service(tmp_path / "data")
    one = verifier(service)
    port = service.port
    waiting = in_background(one.poll)
    time.sleep(1.5)
    service.kill()
    with pytest.raises(urllib3.exceptions.HTTPError):
        waiting.result(20)
    again = start_service(tmp_path / "data", port)
    again.request("POST", "/v1/issuers/default/rotate", ROTATE)
    status, _, answer = one.poll()
    assert (status, len(answer["sets"])) == (200, 1)
    assert again.request("GET", "/v1/fleet").json()["verifiers"][0]["instance"] == one.instance


# Who may speak


def refused(service: RunningService, body: Any, token: str | None, status: int, reason: str) -> None:
    answer = service.request("POST", "/v1/verifiers/poll", body, credential=token)
    assert (answer.status, answer.json()["reason"]) == (status, reason), answer.body


def test_nobody_speaks_for_another_verifier(service: RunningService) -> None:
    one = verifier(service, name="victim")
    thief = credential(service, "billing")
    refused(service, {"verifier": one.report()}, thief, 403, "credential.scope")
    refused(service, {"verifier": one.report()}, None, 401, "credential.missing")
    signer = service.request("POST", "/v1/credentials", {"subject": "victim", "roles": ["signer"]}).json()["token"]
    refused(service, {"verifier": one.report()}, signer, 403, "claims.scope")
    time.sleep(1.5)
    assert seen(service, "victim") == []


def test_a_denied_verifier_is_not_heard(service: RunningService) -> None:
    one = verifier(service, name="denied")
    service.request("POST", "/v1/credentials/deny", {"subject": "denied", "reason": "stolen"})
    assert one.poll()[0] == 401


def test_a_credential_for_one_issuer_reports_about_that_one_alone(service: RunningService) -> None:
    token = credential(service, "narrow", issuers=["payments"])
    at = f"{service.url}/issuers"
    one = PollingVerifier(service.url, f"{at}/default", token, "narrow", "one")
    report = one.report()
    report["issuers"][f"{at}/payments"] = report["issuers"][f"{at}/default"] | {"seq": 0}
    report["issuers"]["https://stranger.example"] = report["issuers"][f"{at}/default"]
    answer = service.request("POST", "/v1/verifiers/poll", {"verifier": report}, credential=token).json()
    assert len(answer["sets"]) == 1
    eventually(lambda: bool(seen(service, "narrow")), "the report is not kept")
    (shown,) = seen(service, "narrow")
    assert list(shown["issuers"]) == ["payments"]


def test_one_process_that_polls_all_the_time_is_slowed_down(service: RunningService) -> None:
    one, other = verifier(service, "busy"), verifier(service, "calm")
    statuses = [one.poll(returnImmediately=True)[0] for _ in range(60)]
    assert statuses[:20] == [200] * 20
    assert 429 in statuses
    assert other.poll(returnImmediately=True)[0] == 200


BAD: dict[str, Any] = {
    "no report": {},
    "no object": {"verifier": []},
    "an unknown member": {"verifier": "GOOD", "jku": "x"},
    "fewer than no events": {"verifier": "GOOD", "maxEvents": -1},
    "events that are no number": {"verifier": "GOOD", "maxEvents": "5"},
    "a wish that is no truth": {"verifier": "GOOD", "returnImmediately": 1},
    "an acknowledgement that is no list": {"verifier": "GOOD", "ack": "x"},
    "too many acknowledgements": {"verifier": "GOOD", "ack": ["x"] * 1001},
    "a long instance": {"verifier": "GOOD", "instance": "x" * 101},
    "a name with a line break": {"verifier": "GOOD", "name": "bad\n"},
    "a sequence below zero": {"verifier": "GOOD", "issuer": {"seq": -1, "keys": {}}},
    "a sequence that is no whole number": {"verifier": "GOOD", "issuer": {"seq": 1.5, "keys": {}}},
    "an age below zero": {"verifier": "GOOD", "issuer": {"seq": 1, "feed_age_s": -1, "keys": {}}},
    "too many keys": {"verifier": "GOOD", "issuer": {"seq": 1, "keys": {str(n): None for n in range(129)}}},
    "a time that is text": {"verifier": "GOOD", "issuer": {"seq": 1, "keys": {"k": "now"}}},
    "an outcome that there is not": {"verifier": "GOOD", "tried": {"t": {"outcome": "fine", "at": 1}}},
}


def bad_body(good: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """A good poll but for what the case says."""
    body = dict(case)
    if body.get("verifier") == "GOOD":
        report = dict(good)
        for name in ("instance", "name", "tried"):
            if name in body:
                report[name] = body.pop(name)
        if "issuer" in body:
            report["issuers"] = {next(iter(good["issuers"])): body.pop("issuer")}
        body["verifier"] = report
    return body


def test_bad_polls_of_every_kind_are_refused_by_name(service: RunningService) -> None:
    one = verifier(service, name="bad")
    token, report = credential(service, "bad"), one.report()
    for why, case in BAD.items():
        answer = service.request("POST", "/v1/verifiers/poll", bad_body(report, case), credential=token)
        assert answer.status == 400, (why, answer.body)
        assert answer.json()["reason"] in ("request.malformed", "statement.malformed"), why
    for raw, reason in (
        (b"{", "json.malformed"),
        (b'{"a":1,"a":2}', "json.duplicate_name"),
        (b"x" * 65_537, "request.too_large"),
    ):
        answer = service.request("POST", "/v1/verifiers/poll", raw=raw, credential=token)
        assert answer.json()["reason"] == reason
    time.sleep(1.5)
    assert seen(service, "bad") == []


# Several replicas


@pytest.fixture(scope="module")
def way() -> Iterator[Forwarder]:
    """That of the second replica to the database."""
    with Forwarder(shared_cluster().port) as opened:
        yield opened
        opened.thaw()


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory, way: Forwarder) -> Iterator[list[RunningService]]:
    url = shared_cluster().new_database()
    through = f"postgresql://postgres@127.0.0.1:{way.port}/{database_of(url)}"
    started = start_replicas(tmp_path_factory.mktemp("replicas"), [url, through])
    yield started
    way.thaw()
    kill_all(started)


def test_a_replica_that_is_cut_off_sends_its_verifiers_elsewhere(
    replicas: list[RunningService], way: Forwarder
) -> None:
    """With 503 and a reason: nobody waits for news that cannot come."""
    here, cut = replicas
    one = PollingVerifier(here.url, f"{PUBLIC_URL}/issuers/default", credential(here), "orders", "moving")
    one.url = cut.url
    assert one.poll(returnImmediately=True)[0] == 200
    waiting = in_background(one.poll)
    time.sleep(1)
    way.freeze()
    status, took_s, answer = waiting.result(25)
    assert (status, answer["reason"]) == (503, "catalog.unavailable")
    assert took_s < 12
    assert one.poll()[0] == 503
    one.url = here.url
    assert one.poll(returnImmediately=True)[0] == 200
    assert here.token()
    way.thaw()
    one.url = cut.url
    eventually(lambda: one.poll(returnImmediately=True)[0] == 200, "the replica does not recover")
    eventually(lambda: all(writes(cut) for _ in range(5)), "what it knows of the database stays too old")


def test_a_rotation_at_one_replica_wakes_a_verifier_that_polls_another(replicas: list[RunningService]) -> None:
    here, there = replicas
    one = PollingVerifier(here.url, f"{PUBLIC_URL}/issuers/default", credential(there), "orders", "one")
    waiting = in_background(one.poll)
    time.sleep(1)
    began = time.monotonic()
    assert there.request("POST", "/v1/issuers/default/rotate", ROTATE).status == 200
    assert waiting.result(20)[2]["sets"]
    assert time.monotonic() - began < 2

    def seen_there() -> list[str]:
        shown = there.request("GET", "/v1/fleet").json()["verifiers"]
        return [one["status"] for one in shown if one["instance"] == "one"]

    eventually(lambda: seen_there() == ["behind"], "what one replica heard is not known to the other")


def test_a_poll_that_has_nothing_to_say_is_held_for_fifteen_seconds(held: Any) -> None:
    status, took_s, answer = held.result(30)
    assert (status, answer) == (200, {"sets": {}, "moreAvailable": False, "trials": {}})
    assert 14.5 < took_s < 17


def test_many_pollers_leave_their_threads_to_others(service: RunningService) -> None:
    """More polls than a thread pool has threads, all waiting, and calls that need a thread are answered."""
    one = verifier(service)
    token, report = credential(service), one.report()
    with contextlib.ExitStack() as stack:
        for number in range(60):
            said = {**report, "instance": str(number)}
            stack.enter_context(contextlib.closing(asked(service, token, said)))
        time.sleep(0.5)
        answers: list[int] = []
        calls = [
            threading.Thread(target=lambda: answers.append(service.request("GET", "/v1/keys").status)) for _ in range(8)
        ]
        for call in calls:
            call.start()
        for call in calls:
            call.join(10)
        assert answers == [200] * 8
