"""Signing over real HTTP: full queues and late answers are 503, and a backend that hangs stops nobody else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from app_server import Running

import sealwright as sw
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import OwnedFolder
from sealwright.wiring.single_process import SingleProcess
from sealwright.wiring.starting import open_single_process

CLAIMS = {"claims": {"sub": "alice"}, "audience": "orders"}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    limits = {"signing_waiting": 10, "signing_deadline_s": 0.5}
    backends = {"slow": {"uri": "memory:", "concurrency": 2}}
    settings = ServiceSettings(home=tmp_path / "data", backends=backends, **limits)  # type: ignore[arg-type]
    with OwnedFolder(settings.home) as owned, open_single_process(settings, owned) as process:
        process.signing.lifecycle.open_issuer("partner", algorithm="ES256", backend="slow", actor="t", reason="test")
        service = Running(process)
        yield service
        service.stop()


def signed_entries(process: SingleProcess) -> list[Any]:
    return [entry for entry in process.signing.catalog.audit() if entry.action == "token.signed"]


def test_a_batch_is_signed_in_order_and_has_one_audit_entry(running: Running) -> None:
    before = len(signed_entries(running.process))
    tokens = [{"claims": {"sub": f"user-{n}"}, "audience": "orders", "lifetime_s": 60 + n} for n in range(500)]
    answer = running.client().issue_tokens("default", tokens)
    keys = running.process.publications.issuer("default").jwks
    claims = [sw.verify_signature(one["token"], keys).json() for one in answer["tokens"]]
    assert [one["sub"] for one in claims] == [f"user-{n}" for n in range(500)]
    assert [one["expires_in"] for one in answer["tokens"]] == [60 + n for n in range(500)]
    assert len({one["jti"] for one in claims}) == 500
    entries = signed_entries(running.process)[before:]
    assert [(entry.actor, len(entry.facts["signatures"])) for entry in entries] == [("operator", 500)]


def test_payloads_are_signed_in_a_batch_too(running: Running) -> None:
    answer = running.client().sign_payloads("default", [(b"one", "a+jws"), (b"two", "b+jws")])
    keys = running.process.publications.issuer("default").jwks
    seen = [sw.verify_signature(one["token"], keys) for one in answer["signed"]]
    assert [(one.payload, one.header.type) for one in seen] == [(b"one", "a+jws"), (b"two", "b+jws")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("tokens/batch", {"tokens": []}),
        ("tokens/batch", {"tokens": [CLAIMS] * 501}),
        ("tokens/batch", {"tokens": [CLAIMS, {"claims": {"sub": "a"}}]}),
        ("tokens/batch", {"tokens": [CLAIMS, "x"]}),
        ("tokens/batch", {"tokens": [{**CLAIMS, "reuse": True}]}),
        ("sign/batch", {"payloads": [{"payload": "AA", "typ": "x+jws"}, {"payload": "AA", "typ": "JWT"}]}),
        ("sign/batch", {"payloads": [{"payload": "A", "typ": "x+jws"}]}),
    ],
)
def test_a_batch_with_one_bad_item_signs_nothing(running: Running, path: str, body: Any) -> None:
    before = len(signed_entries(running.process))
    assert running.post(f"/v1/issuers/default/{path}", body).status == 400
    assert len(signed_entries(running.process)) == before


def test_the_internal_issuer_signs_no_batch(running: Running) -> None:
    assert running.post("/v1/issuers/internal/tokens/batch", {"tokens": [CLAIMS]}).status == 400


def test_a_full_queue_is_503_with_retry_after_and_a_hung_backend_stops_no_other_issuer(running: Running) -> None:
    hanging = running.hang()
    with ThreadPoolExecutor(60) as pool:
        stuck = [pool.submit(running.post, "/v1/issuers/partner/tokens", CLAIMS) for _ in range(60)]
        for _ in range(20):
            assert running.post("/v1/issuers/default/tokens", CLAIMS).status == 201
        assert running.http.request("GET", running.url + "/healthz").status == 200
        answers = [future.result(30) for future in stuck]
    assert {answer.status for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert {answer.json()["reason"] for answer in answers} == {"signing.busy", "signing.deadline"}
    assert hanging.calls == 2  # as many as it bears at a time
    metrics = running.http.request("GET", running.url + "/metrics").data.decode()
    assert 'signing_queue_wait_seconds_count{backend="slow",reason="signing.busy"}' in metrics
    assert 'signing_in_flight{backend="slow"} 2.0' in metrics
    hanging.go.set()
    for _ in range(200):
        if running.post("/v1/issuers/partner/tokens", CLAIMS).status == 201:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the backend came back and the issuer did not")
    assert [e.issuer for e in signed_entries(running.process)].count(
        "partner"
    ) == 1  # what came too late was not released


def test_a_busy_service_is_an_error_that_a_client_retries(running: Running) -> None:
    hanging = running.hang()
    with pytest.raises(sw.UnavailableError) as caught:
        running.client().issue_token("partner", claims={"sub": "alice"}, audience="orders")
    assert caught.value.reason == "signing.deadline"
    hanging.go.set()


def test_reuse_is_only_on_request_and_says_how_long_the_token_is_good(running: Running) -> None:
    asked = {"claims": {"sub": "alice"}, "audience": "orders", "lifetime_s": 600}
    client = running.client()
    first = client.issue_token("default", **asked, reuse=True)
    again = client.issue_token("default", **asked, reuse=True)
    assert first["reused"] is False
    assert again["reused"] is True
    assert again["token"] == first["token"]
    assert 0 < again["expires_in"] <= 600
    assert client.issue_token("default", **asked)["token"] != first["token"]
    running.client().emergency_rotate("default", key_id=None, reason="leaked")
    assert client.issue_token("default", **asked, reuse=True)["key_id"] != first["key_id"]


def test_a_key_at_a_backend_that_is_not_configured_here_is_a_backend_that_failed(running: Running) -> None:
    assert running.post("/v1/issuers/partner/tokens", CLAIMS).status == 201
    del running.process.signing.backends["slow"]
    del running.process.signing.queues["slow"]
    answer = running.post("/v1/issuers/partner/tokens", CLAIMS)
    assert (answer.status, answer.json()["reason"]) == (502, "backend.failed")


def test_a_reusable_token_has_no_jti_of_the_caller(running: Running) -> None:
    body = {"claims": {"sub": "alice", "jti": "mine"}, "audience": "orders", "reuse": True}
    assert running.post("/v1/issuers/default/tokens", body).status == 400
