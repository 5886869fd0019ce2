"""The failure modes of production, each brought about for real, with the signal that tells it from the others.

F1 stale or missing keys, F3 clock skew, F4 a leaked key, F6 tokens without a kid.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from between import Between
from joined_sidecar import Start, join
from jwks_server import JwksServer
from running_service import SHORT_TIMINGS, RunningService, eventually
from running_sidecar import RunningSidecar

import sealwright as sw
from sealwright.clock import SYSTEM_CLOCK, ManualClock
from sealwright.jose import base64url, strict_json

ISSUER = "https://id.example"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    running = RunningService(tmp_path / "home", SHORT_TIMINGS | {"SEALWRIGHT_TIMINGS__LONGEST_TOKEN_S": "60"})
    yield running
    running.interrupt()


@pytest.fixture
def foreign() -> Iterator[JwksServer]:
    """An issuer of somebody else."""
    server = JwksServer()
    yield server
    server.stop()


@contextlib.contextmanager
def sidecar(log: Path, issuer: str, jwks_url: str) -> Iterator[RunningSidecar]:
    running = RunningSidecar(log, {"ISSUER": issuer, "AUDIENCE": "orders", "JWKS_URL": jwks_url})
    try:
        yield running
    finally:
        running.stop()


def verified(one: RunningSidecar, result: str, reason: str) -> float:
    return one.metric("jws_verify_total", result=result, reason=reason)


def test_f1_a_verifier_that_cannot_learn_a_new_key_says_undecided_and_shows_failed_fetches(
    service: RunningService, tmp_path: Path
) -> None:
    issuer = f"{service.url}/issuers/default"
    before = service.token()
    with Between(service.url) as network:
        page = f"{network.url}/issuers/default/.well-known/jwks.json"
        with sidecar(tmp_path / "log", issuer, page) as one:
            assert one.decide(before)["outcome"] == "accepted"
            network.answers = [(503, b"")] * 1000  # the key service is out of reach, and rotates twice meanwhile
            for _ in range(2):
                assert service.request("POST", "/v1/issuers/default/rotate", {"reason": "test"}).status == 200
            after = service.token()
            assert one.decide(after)["outcome"] == "undecided"
            assert one.decide(before)["outcome"] == "accepted", "known keys go on"
            assert verified(one, "undecided", "source.unavailable") >= 1
            assert one.metric("jwks_fetch_total", outcome="failed") >= 1
            network.answers = []
            eventually(lambda: one.decide(after)["outcome"] == "accepted", "it recovers by itself")


@pytest.mark.parametrize(
    ("off_by_s", "reason"),
    [
        (-900, "claims.expired"),
        (-300, None),
        (45, None),
        (100, "claims.not_yet_valid"),
    ],
)
def test_f3_clock_skew_has_reasons_of_its_own_and_the_leeway_is_the_line(
    foreign: JwksServer, tmp_path: Path, off_by_s: float, reason: str | None
) -> None:
    key = sw.PrivateJWK.generate("ES256", key_id="k1")
    foreign.publish(key)
    foreign.clock_ahead_s = off_by_s
    clock = ManualClock(SYSTEM_CLOCK.now() + off_by_s)
    starts = {"nbf": int(clock.now())}
    token = sw.sign_claims(starts, key, issuer=ISSUER, audience="orders", lifetime_s=600, clock=clock)
    with sidecar(tmp_path / "log", ISSUER, foreign.url) as one:
        decision = one.decide(token)
        assert decision["reason"] == reason
        assert verified(one, "rejected" if reason else "accepted", reason or "none") == 1
        assert one.metric("jwks_clock_offset_seconds") == pytest.approx(off_by_s, abs=5), "whose clock it is"


def test_f4_a_key_that_leaked_is_refused_by_name_and_its_use_is_counted(
    service: RunningService, tmp_path: Path, start_sidecar: Start
) -> None:
    stolen = service.token()
    one = start_sidecar(join(service, tmp_path / "orders"))
    assert one.decide(stolen)["outcome"] == "accepted"
    before = one.metric("statement_sequence")
    answer = service.request("POST", "/v1/issuers/default/emergency-rotate", {"reason": "leaked"})
    assert answer.status == 200, answer.body
    eventually(lambda: one.decide(stolen)["reason"] == "key.revoked", "the sidecar refuses it by name")
    assert verified(one, "rejected", "key.revoked") >= 1
    eventually(lambda: one.metric("statement_sequence") > before, "the sequence that it obeys is shown")
    assert one.decide(service.token())["outcome"] == "accepted"
    assert service.decide(stolen)["reason"] == "key.revoked"
    body = service.request("GET", "/metrics").body.decode()
    assert 'reason="key.revoked",result="rejected"' in body


def test_f6_a_token_without_a_kid_never_tries_one_key_after_the_other(foreign: JwksServer, tmp_path: Path) -> None:
    keys = [sw.PrivateJWK.generate("ES256", key_id=name) for name in ("k1", "k2")]
    foreign.publish(*keys)
    claims = {"iss": ISSUER, "aud": "orders", "exp": int(SYSTEM_CLOCK.now()) + 60}
    with sidecar(tmp_path / "log", ISSUER, foreign.url) as one:
        for header, reason in (
            ({}, "key.id_missing"),
            ({"kid": "k2"}, "signature.invalid"),  # wrong, though k1 would verify it
            ({"kid": "k3"}, "key.not_found"),
        ):
            parts = (strict_json.encode_object({"alg": "ES256", **header}), strict_json.encode_object(claims))
            signing_input = b".".join(base64url.encode(part) for part in parts)
            token = signing_input + b"." + base64url.encode(keys[0].sign(signing_input))
            assert one.decide(token.decode())["reason"] == reason
            assert verified(one, "rejected", reason) == 1
        assert one.decide(sw.sign(strict_json.encode_object(claims), keys[0]))["outcome"] == "accepted"
