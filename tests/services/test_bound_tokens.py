"""POST /v1/verify for bound tokens: the caller says what it saw of the request, and says it clearly or not at all."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.applications import Starlette
from test_together import ask

import sealwright as sw
from sealwright.client.evidence import evidence_members
from sealwright.clock import ManualClock
from sealwright.jose import strict_json
from sealwright.profiles.dpop_proof import sign_proof
from sealwright.services import http
from sealwright.services.verifier_service.app import DecisionEndpoint, openapi_paths
from sealwright.trust.binding import Binding
from sealwright.trust.dpop import DpopProofs
from sealwright.trust.dpop_nonces import DpopNonces
from sealwright.trust.evidence import NO_EVIDENCE, Evidence
from sealwright.trust.sources.static import StaticKeys
from sealwright.trust.stores.memory import MemoryReplayStore

CLOCK = ManualClock()
KEY, CLIENT = sw.PrivateJWK.generate("EdDSA", key_id="k"), sw.PrivateJWK.generate("ES256")
URL = "https://orders.example/orders"
X5T = "A" * 43
NONCES = DpopNonces([b"s" * 32])


def app_of(rules: DpopProofs) -> Starlette:
    policy = sw.VerificationPolicy(issuer="https://id.example", audience="orders")
    trusted = sw.TrustedIssuer(
        policy, StaticKeys(KEY.public), Binding(dpop=rules, claims=MemoryReplayStore(1000, clock=CLOCK))
    )
    one = sw.Verifier(issuers=[trusted], clock=CLOCK)
    return Starlette(routes=DecisionEndpoint(lambda _: one).routes(), exception_handlers=http.EXCEPTION_HANDLERS)


def token(**cnf: str) -> str:
    claims = {"iss": "https://id.example", "aud": "orders", "exp": int(CLOCK.now()) + 900, "cnf": cnf}
    return sw.sign(strict_json.encode_object(claims), KEY)


def answer(app: Starlette, **body: Any) -> tuple[int, dict[str, Any]]:
    status, text = asyncio.run(asked(app, json.dumps(body).encode()))
    return status, json.loads(text)


async def asked(app: Starlette, body: bytes) -> tuple[int, bytes]:
    return await asyncio.to_thread(ask, app, "/v1/verify", "127.0.0.1", method="POST", body=body)


def test_a_proof_is_accepted_once_with_the_request_that_it_was_made_for() -> None:
    app, text = app_of(DpopProofs()), token(jkt=CLIENT.public.thumbprint())
    body = {"token": text, "method": "GET", "url": URL, "scheme": "dpop"}
    body["dpop"] = sign_proof(CLIENT, "GET", URL, token=text, clock=CLOCK)
    assert answer(app, **{**body, "method": "POST"})[1]["reason"] == "binding.proof"
    assert answer(app, **{**body, "dpop": f"{body['dpop']}, {body['dpop']}"})[1]["reason"] == "binding.proof"
    assert answer(app, **{**body, "scheme": "bearer"})[1]["reason"] == "binding.missing"
    assert answer(app, **body)[1]["outcome"] == "accepted"
    assert answer(app, **body)[1]["reason"] == "replay.seen_before"
    assert answer(app, token=text)[1]["reason"] == "binding.missing"


def test_whatever_depth_of_claims_is_accepted_can_be_told() -> None:
    deep: Any = 1
    for _ in range(31):
        deep = [deep]
    claims = {"iss": "https://id.example", "aud": "orders", "exp": int(CLOCK.now()) + 900, "deep": deep}
    text = sw.sign(strict_json.encode_object(claims), KEY)
    status, told = answer(app_of(DpopProofs()), token=text, explain=True)
    assert (status, told["outcome"], told["claims"]["deep"]) == (200, "accepted", deep)


def test_what_the_client_sends_is_what_the_service_reads() -> None:
    app, text = app_of(DpopProofs()), token(jkt=CLIENT.public.thumbprint(), **{"x5t#S256": X5T})
    proof = sign_proof(CLIENT, "GET", URL, token=text, clock=CLOCK)
    shown = Evidence(method="GET", url=URL, scheme="dpop", proofs=(proof,), certificate_thumbprint=X5T)
    twice = shown._replace(proofs=(proof, proof))
    assert answer(app, token=text, **evidence_members(twice))[1]["reason"] == "binding.proof"
    assert answer(app, token=text, **evidence_members(shown))[1]["outcome"] == "accepted"
    assert evidence_members(NO_EVIDENCE) == {}


def test_a_certificate_is_told_by_its_thumbprint() -> None:
    app, text = app_of(DpopProofs()), token(**{"x5t#S256": X5T})
    assert answer(app, token=text, certificate_thumbprint=X5T)[1]["outcome"] == "accepted"
    assert answer(app, token=text, certificate_thumbprint="B" * 43)[1]["reason"] == "binding.mismatch"
    assert answer(app, token=text)[1]["reason"] == "binding.missing"


def test_a_proof_that_needs_a_nonce_is_told_one_that_is_good() -> None:
    app, text = app_of(DpopProofs(nonces=NONCES)), token(jkt=CLIENT.public.thumbprint())
    body = {"token": text, "method": "GET", "url": URL, "scheme": "dpop"}
    refused = answer(app, **body, dpop=sign_proof(CLIENT, "GET", URL, token=text, clock=CLOCK))[1]
    assert (refused["outcome"], refused["reason"]) == ("rejected", "binding.nonce")
    again = sign_proof(CLIENT, "GET", URL, token=text, nonce=refused["dpop_nonce"], clock=CLOCK)
    assert answer(app, **body, dpop=again)[1]["outcome"] == "accepted"


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": 5}, {"url": ["x"]}, {"dpop": ["a", "b"]}, {"scheme": "basic"}, {"scheme": "DPoP"},
        {"scheme": True}, {"certificate_thumbprint": "x"}, {"certificate_thumbprint": X5T + "\n"},
        {"certificate_thumbprint": "ab" * 32}, {"proofs": []},
    ],
)  # fmt: skip
def test_evidence_that_is_not_said_clearly_is_a_malformed_request(wrong: dict[str, Any]) -> None:
    status, problem = answer(app_of(DpopProofs()), token=token(**{"x5t#S256": X5T}), **wrong)
    assert (status, problem["reason"]) == (400, "request.malformed")


def test_the_description_names_every_member_of_the_evidence() -> None:
    content = openapi_paths()["/v1/verify"]["post"]["requestBody"]["content"]
    members = content["application/json"]["schema"]["properties"]
    assert {"method", "url", "scheme", "dpop", "certificate_thumbprint"} < members.keys()
    assert members["scheme"]["enum"] == ["bearer", "dpop"]
