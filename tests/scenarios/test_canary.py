"""The canary of an emergency: a token that shows a responder which verifiers still believe a leaked key."""

from __future__ import annotations

import json
from collections.abc import Callable

from running_service import RunningService

import sealwright as sw
from sealwright.keys.emergency import CANARY_AUDIENCE


def test_a_responder_shows_the_canary_of_a_leaked_key_to_verifiers(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    leaked = service.request("GET", "/.well-known/jwks.json", credential=None).json()
    kid = service.keys()["active"][0]
    behind = sw.Verifier(issuer=f"{service.url}/issuers/default", audience="orders", keys=sw.JWKSet.from_dict(leaked))
    assert service.cli("keys", "emergency-rotate", "--kid", kid, "--reason", "leak").returncode == 0
    answer = service.request("GET", f"/v1/keys/{kid}/canary")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    shown = answer.json()
    assert (shown["key_id"], shown["issuer"]) == (kid, "default")
    assert service.decide(shown["token"], CANARY_AUDIENCE)["reason"] == "key.revoked"
    assert service.decide(shown["token"])["reason"] == "key.revoked"
    assert behind.decide(shown["token"]).reason == "claims.audience"  # its signature still counts there
    printed = service.cli("keys", "canary", kid)
    assert (printed.returncode, printed.stdout.strip()) == (0, shown["token"])
    assert json.loads(service.cli("keys", "canary", kid, "--json").stdout) == shown
    listed = service.request("GET", "/v1/keys").body
    assert shown["token"].encode() not in listed


def test_a_key_that_did_not_leak_has_no_canary(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    answer = service.request("GET", f"/v1/keys/{service.keys()['active'][0]}/canary")
    assert (answer.status, answer.json()["reason"]) == (404, "request.not_found")
    assert "no canary" in answer.json()["detail"]
    assert service.request("GET", "/v1/keys/nobody/canary").json()["reason"] == "move.unknown_key"
