"""What verifier.toml builds: an outage of keys may lengthen the life of known ones, and never lets anything else in."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jwks_server import JwksServer
from servers import free_port
from throw_away_ca import server_certificate

import sealwright as sw
from sealwright.clock import ManualClock
from sealwright.config.verifier_tables import VerifierFile
from sealwright.trust.evidence import Evidence
from sealwright.wiring.observing import build_observing
from sealwright.wiring.verifying import VerifyingSide, build_verifying

ISSUER, AUDIENCE = "https://id.example", "orders"
KEY, STRANGER = sw.PrivateJWK.generate("ES256", key_id="k1"), sw.PrivateJWK.generate("ES256", key_id="k2")


@pytest.fixture
def server() -> Iterator[JwksServer]:
    one = JwksServer()
    one.publish(KEY)
    one.headers["Cache-Control"] = "max-age=10"
    yield one
    one.stop()


def built(server: JwksServer, clock: ManualClock, folder: Path = Path(), **options: Any) -> VerifyingSide:
    table = {"profile": "jwt", "audience": AUDIENCE, "jwks_url": server.url, **options}
    file = VerifierFile.model_validate({"issuers": {ISSUER: table}})
    return build_verifying(file, folder, build_observing({ISSUER}).observer, clock)


def token(clock: ManualClock, key: sw.PrivateJWK = KEY, **claims: Any) -> str:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(clock.now()) + 100_000}
    return sw.sign(json.dumps(usual | claims).encode(), key)


def outcome(side: VerifyingSide, presented: str) -> tuple[str, str | None]:
    decision = side.verifier.decide(presented)
    return decision.outcome, decision.reason


@pytest.mark.parametrize("outage_s", [0, 60, 86_400])
def test_known_keys_serve_for_the_outage_and_not_a_second_longer(server: JwksServer, outage_s: float) -> None:
    clock = ManualClock()
    side = built(server, clock, keys_outage=outage_s)
    try:
        assert outcome(side, token(clock)) == ("accepted", None)
        server.mode = "error"
        clock.advance(10 + outage_s - 1)
        assert outcome(side, token(clock)) == ("accepted", None)
        forged = token(clock)[:-8] + "AAAAAAAA"
        assert outcome(side, forged) == ("rejected", "signature.invalid")
        clock.advance(2)
        assert outcome(side, token(clock)) == ("undecided", "source.unavailable")
        assert outcome(side, forged) == ("undecided", "source.unavailable")
    finally:
        side.close()


@pytest.mark.parametrize(
    "options",
    [{}, {"keys_outage": 86_400}, {"profile": "any", "leeway": 120, "required": False}],
    ids=str,
)
def test_whatever_the_policy_says_a_token_without_a_key_is_not_accepted(
    server: JwksServer, options: dict[str, Any]
) -> None:
    clock = ManualClock()
    server.mode = "error"
    side = built(server, clock, **options)
    try:
        assert outcome(side, token(clock))[0] == "undecided"
        assert outcome(side, token(clock, STRANGER))[0] == "undecided"
        server.mode = "ok"
        clock.advance(120)
        assert outcome(side, token(clock)) == ("accepted", None)
        server.mode = "error"
        clock.advance(15)
        assert outcome(side, token(clock, STRANGER))[0] == "undecided"
    finally:
        side.close()


def test_the_last_good_keys_outlive_a_restart_where_a_file_is_named(server: JwksServer, tmp_path: Path) -> None:
    clock = ManualClock()
    first = built(server, clock, tmp_path, last_good_file="keys.json")
    assert outcome(first, token(clock)) == ("accepted", None)
    first.close()
    server.mode = "error"
    second = built(server, clock, tmp_path, last_good_file="keys.json")
    assert outcome(second, token(clock)) == ("accepted", None)
    second.close()


def test_the_second_url_is_asked_when_the_first_fails(server: JwksServer) -> None:
    clock, broken = ManualClock(), JwksServer()
    broken.mode = "error"
    side = built(server, clock, jwks_url=[broken.url, server.url])
    try:
        assert outcome(side, token(clock)) == ("accepted", None)
        assert side.status()["issuers"][ISSUER]["keys"]["url"] == server.url
    finally:
        side.close()
        broken.stop()


def test_a_key_that_fits_two_algorithms_is_told_apart_by_the_policy(server: JwksServer) -> None:
    rsa = sw.PrivateJWK.generate("RS256", key_id="rsa")
    server.publish(rsa)
    server.keys = [{name: value for name, value in key.items() if name != "alg"} for key in server.keys]
    for algorithms, expected in ((["RS256"], "accepted"), (["RS256", "PS256"], "undecided")):
        side = built(server, ManualClock(), algorithms=algorithms)
        assert outcome(side, token(ManualClock(), rsa))[0] == expected
        side.close()


def test_a_route_is_judged_before_anything_that_counts_a_token_as_presented(server: JwksServer) -> None:
    file = VerifierFile.model_validate(
        {
            "issuers": {ISSUER: {"profile": "jwt", "audience": AUDIENCE, "jwks_url": server.url}},
            "routes": {"/orders": {"scopes": ["read"]}},
        }
    )
    side = build_verifying(file, Path(), build_observing({ISSUER}).observer, ManualClock())
    (issuer,) = side.issuers.values()
    assert issuer.trusted.checks[0] is issuer.admission
    denied = side.verifier.decide(token(ManualClock()), evidence=Evidence(method="GET", path="/orders"))
    assert denied.reason == "claims.scope"
    side.close()


def test_an_issuer_whose_store_is_down_cannot_decide_unless_it_opens(server: JwksServer, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"redis://127.0.0.1:{free_port()}/0\n")
    table = {"profile": "jwt", "audience": AUDIENCE, "jwks_url": server.url}
    issuers = {
        ISSUER: table,
        "https://closed.example": {**table, "replay": "on"},
        "https://open.example": {**table, "replay": "on", "on_replay_failure": "open"},
    }
    file = VerifierFile.model_validate({"issuers": issuers, "replay": {"url_file": "url"}})
    side = build_verifying(file, tmp_path, build_observing(issuers).observer)
    try:
        for name, ready in ((ISSUER, True), ("https://closed.example", False), ("https://open.example", True)):
            if ready:
                side.issuers[name].check_ready()
            else:
                with pytest.raises(sw.UnavailableError):
                    side.issuers[name].check_ready()
    finally:
        side.close()


def test_one_issuer_that_hangs_holds_up_its_own_tokens_only(server: JwksServer) -> None:
    hanging = JwksServer()
    hanging.publish(KEY)
    hanging.hold()
    usual = {"profile": "jwt", "audience": AUDIENCE}
    issuers = {ISSUER: {**usual, "jwks_url": server.url}, "https://slow.example": {**usual, "jwks_url": hanging.url}}
    side = build_verifying(VerifierFile.model_validate({"issuers": issuers}), Path(), build_observing(()).observer)

    async def decide() -> None:
        clock = ManualClock(time.time())
        stuck = [
            asyncio.create_task(side.verifier.adecide(token(clock, iss="https://slow.example"))) for _ in range(20)
        ]
        await asyncio.to_thread(hanging.wait_for_fetches, 1)
        for _ in range(50):
            assert (await side.verifier.adecide(token(clock))).accepted
        assert not any(task.done() for task in stuck)
        hanging.release()
        assert all(decision.accepted for decision in await asyncio.gather(*stuck))

    try:
        asyncio.run(decide())
        assert hanging.fetches == 1
    finally:
        side.close()
        hanging.stop()


def test_the_cas_of_an_issuer_take_the_place_of_the_machines_own(tmp_path: Path) -> None:
    authority, certificate = server_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    cluster = JwksServer(tls=context)
    cluster.publish(KEY)
    clock = ManualClock()
    trusting = built(cluster, clock, tmp_path, ca_file=authority.name)
    doubting = built(cluster, clock)
    try:
        assert outcome(trusting, token(clock)) == ("accepted", None)
        assert outcome(doubting, token(clock)) == ("undecided", "source.unavailable")
    finally:
        trusting.close()
        doubting.close()
        cluster.stop()


def test_a_file_of_cas_that_has_none_stops_the_start(server: JwksServer, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(sw.ConfigurationError, match="no certificates of CAs"):
            built(server, ManualClock(), tmp_path, ca_file=name)
