"""Logs: one JSON line for each event, whatever is in it, and never a token."""

from __future__ import annotations

import io
import re
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.clock import ManualClock
from sealwright.errors import Reason
from sealwright.events import BackendCalled, KeyMoved, KeySourceRefreshed, TokenDecided, TokenSigned
from sealwright.jose.jwk import PrivateJWK
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.jose.signing import sign
from sealwright.telemetry.fan_out import FanOut
from sealwright.telemetry.logs import Logs

DIGEST = re.compile(r"sha256:[0-9a-f]{16}")


def test_a_decision_is_one_line_with_time_level_kid_alg_and_reason(logs: Any, happened: Any) -> None:
    line = logs.line_of(happened.decided(outcome="rejected", reason=Reason.CLAIMS_EXPIRED, duration_s=0.0012345))
    assert line == {
        "time": "2023-11-14T22:13:20.000Z",
        "level": "warning",
        "event": "token.decided",
        "outcome": "rejected",
        "issuer": "default",
        "kid": "k1",
        "alg": "ES256",
        "reason": "claims.expired",
        "duration_ms": 1.234,
    }


def test_a_backend_call_that_went_well_has_no_line_of_its_own(logs: Any, happened: Any) -> None:
    logs.observer.observe(happened.called())
    assert logs.text() == ""


def test_a_tick_has_a_line_only_when_it_failed_or_the_clock_jumped(logs: Any, happened: Any) -> None:
    for outcome in ("done", "elsewhere", "starting"):
        logs.observer.observe(happened.ticked(outcome=outcome))
    assert logs.text() == ""
    assert logs.line_of(happened.ticked(outcome="clock_jumped"))["level"] == "warning"
    assert logs.line_of(happened.ticked(outcome="failed"))["level"] == "error"


def test_a_claim_has_a_line_only_when_a_token_was_let_in_without_the_store(logs: Any, happened: Any) -> None:
    for outcome in ("first", "seen", "failed_closed"):  # the decision has a line, which says why
        logs.observer.observe(happened.claimed(outcome=outcome))
    assert logs.text() == ""
    line = logs.line_of(happened.claimed())
    assert (line["level"], line["event"], line["outcome"]) == ("error", "replay.claimed", "failed_open")
    assert (line["issuer"], line["reason"], line["duration_ms"]) == ("default", "replay.unavailable", 250.0)


def test_the_level_says_whether_somebody_should_look(logs: Any, happened: Any) -> None:
    expected = [
        (happened.decided(), "info", "token.decided"),
        (happened.decided(outcome="rejected", reason=Reason.SIGNATURE_INVALID), "warning", "token.decided"),
        (happened.decided(outcome="undecided", reason=Reason.SOURCE_UNAVAILABLE), "error", "token.decided"),
        (happened.signed(), "info", "token.signed"),
        (happened.signed(reason=Reason.BACKEND_FAILED), "error", "token.signed"),
        (happened.refreshed(), "info", "key_source.refreshed"),
        (happened.refreshed(outcome="failed", reason=Reason.SOURCE_UNAVAILABLE), "error", "key_source.refreshed"),
        (happened.moved(), "info", "key.moved"),
        (happened.called(reason=Reason.BACKEND_KEY_MISSING), "error", "backend.called"),
        (happened.step_failed(), "error", "scheduler.step_failed"),
        (happened.orphans(), "warning", "orphans.counted"),
        (happened.orphans(unknown=0, missing=0), "info", "orphans.counted"),
    ]
    for event, level, name in expected:
        line = logs.line_of(event)
        assert (line["level"], line["event"]) == (level, name)
    assert len(logs.lines()) == len(expected)


def test_every_fact_of_an_event_is_in_its_line(logs: Any, happened: Any) -> None:
    moved = logs.line_of(happened.moved())
    wanted = {"issuer": "default", "kid": "k1", "alg": "ES256", "before": "standby", "after": "active"}
    assert moved.items() >= (wanted | {"actor": "operator", "reason": "scheduled"}).items()
    refreshed = logs.line_of(happened.refreshed())
    wanted = {"source": "https://id.example/.well-known/jwks.json", "cause": "cold", "outcome": "changed"}
    assert refreshed.items() >= (wanted | {"keys": 3, "unusable": 1, "reason": None, "duration_ms": 150.0}).items()
    assert logs.line_of(happened.signed()).items() >= {"backend": "local", "kid": "k1", "duration_ms": 15.0}.items()
    assert (
        logs.line_of(happened.called(reason=Reason.BACKEND_FAILED)).items()
        >= {"backend": "local", "call": "sign"}.items()
    )


def test_time_is_the_clocks_in_utc_with_milliseconds(logs: Any, clock: ManualClock, happened: Any) -> None:
    clock.advance(86_399.75)
    assert logs.line_of(happened.signed())["time"] == "2023-11-15T22:13:19.750Z"


def test_a_token_without_a_known_key_has_no_kid(logs: Any, happened: Any) -> None:
    assert logs.line_of(happened.decided(key_id=None))["kid"] is None


def test_a_hostile_id_cannot_break_a_line(logs: Any, happened: Any, hostile: str) -> None:
    logs.observer.observe(happened.decided(key_id=hostile, issuer=hostile, algorithm=hostile))
    logs.observer.observe(happened.moved(key_id=hostile, actor=hostile, reason=hostile))
    logs.observer.observe(happened.refreshed(source=hostile))
    logs.observer.observe(happened.signed(backend=hostile))
    logs.observer.observe(happened.called(backend=hostile, reason=Reason.BACKEND_FAILED))
    text = logs.text()
    assert text.isascii()
    assert text.count("\n") == 5 == len(logs.lines())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert len(text) < 5000
    assert set(logs.lines()[0]) == set(logs.line_of(happened.decided()))


@pytest.mark.parametrize("key_id", ["x" * 129, "clé", "a\tb", "\ud800", "a\x7f"])
def test_an_id_that_is_too_long_or_not_printable_ascii_is_shown_as_a_digest(
    logs: Any, happened: Any, key_id: str
) -> None:
    assert DIGEST.fullmatch(logs.line_of(happened.signed(key_id=key_id))["kid"])


@pytest.mark.parametrize(
    "key_id", ["x" * 128, "2024.01.15", "key.v1.prod", 'a "quoted" \\ id', "https://id.example/k#1"]
)
def test_an_ordinary_id_is_shown_as_it_is(logs: Any, happened: Any, key_id: str) -> None:
    assert logs.line_of(happened.signed(key_id=key_id))["kid"] == key_id


def test_a_source_is_logged_without_its_credentials(logs: Any, happened: Any) -> None:
    logs.observer.observe(happened.refreshed(source="https://user:s3cret@id.example/jwks?key=s3cret#s3cret"))
    logs.observer.observe(happened.refreshed(source="https://[s3cret/jwks"))
    assert "s3cret" not in logs.text()
    assert "https://id.example/jwks?sha256:" in logs.text()


KEYS = [SecretJWK.generate("HS256"), PrivateJWK.generate("Ed25519"), PrivateJWK.generate("ES256")]
TOKENS = st.builds(sign, st.binary(max_size=300), st.sampled_from(KEYS), typ=st.none() | st.just("JWT"))
AROUND = st.sampled_from(["", "Bearer ", "https://id.example/?token=", "https://id.example/", "x" * 200, "é", "kid."])


@given(TOKENS, AROUND, AROUND)
def test_no_line_ever_contains_a_token(token: str, before: str, after: str) -> None:
    stream = io.StringIO()
    logs, text = Logs(stream, clock=ManualClock()), before + token + after
    logs.observe(TokenDecided(text, text, text, "accepted", None, 0.0))
    logs.observe(TokenSigned(text, text, text, 0.0, backend=text))
    logs.observe(KeySourceRefreshed(text, "cold", "changed", 1, 0, 0.0))
    logs.observe(KeyMoved(text, text, text, "standby", "active", actor=text, reason=text))
    logs.observe(BackendCalled(text, "sign", 0.0, Reason.BACKEND_FAILED))
    written = stream.getvalue()
    assert written.count("\n") == 5
    _, payload, signature = token.split(".")
    assert signature not in written
    assert len(payload) < 20 or payload not in written


def test_lines_of_many_threads_do_not_mix(logs: Any, happened: Any) -> None:
    event = happened.decided()
    threads = [threading.Thread(target=lambda: [logs.observer.observe(event) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(logs.lines()) == 800


def test_a_closed_stream_is_an_observer_failure_and_nothing_more(happened: Any) -> None:
    stream = io.StringIO()
    stream.close()
    fan_out = FanOut(Logs(stream))
    fan_out.observe(happened.signed())
    assert fan_out.failures == 1
