"""Tokens of delegated keys under other people's verifiers, which know nothing of delegation, by the real JWKS page."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from app_server import Running
from jose_peers import PEERS, Peer, fetch
from running_service import SHORT_TIMINGS, RunningService, eventually

import sealwright as sw
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import OwnedFolder
from sealwright.wiring.starting import open_single_process

AT_ONCE = {"worst_consumer_cache_s": 0, "jwks_max_age_s": 0, "replication_s": 0}
ISSUERS = {"ES256": "default", "EdDSA": "ed", "RS256": "rs"}
pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # EdDSA is an older name
CASES = [
    pytest.param(peer, alg, id=f"{peer.name}-{alg}") for peer in PEERS for alg in ISSUERS if alg in peer.algorithms
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("delegated") / "data"
    issuers = {name: {"algorithm": alg, "delegated_lifetime": "1h"} for alg, name in ISSUERS.items()}
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = ServiceSettings(
        home=home,
        port=port,
        issuers=issuers,
        timings=AT_ONCE,
    )
    with OwnedFolder(settings.home) as owned, open_single_process(settings, owned) as process:
        service = Running(process, listener)
        for _ in range(2):
            process.signing.delegated.tick()
        yield service
        service.stop()


@pytest.mark.parametrize(("peer", "alg"), CASES)
def test_a_peer_accepts_a_token_of_a_delegated_key(running: Running, peer: Peer, alg: str) -> None:
    if peer.missing():
        pytest.skip(f"{peer.name}: {peer.missing()}")
    issuer = f"{running.url}/issuers/{ISSUERS[alg]}"
    page = f"{issuer}/.well-known/jwks.json"
    issued = running.client().issue_token(ISSUERS[alg], claims={"sub": "alice"}, audience="orders")
    batch = running.client().issue_tokens(ISSUERS[alg], [{"claims": {"sub": "alice"}, "audience": "orders"}] * 3)
    (signer,) = [key for key in fetch(page)["keys"] if key["kid"] == issued["key_id"]]
    assert "vouched_by" in signer
    for token in (issued["token"], *(one["token"] for one in batch["tokens"])):
        assert peer.verify(token, page, issuer, "orders")["sub"] == "alice"


def test_whoever_asks_can_check_the_voucher_of_a_published_key(running: Running) -> None:
    page = fetch(f"{running.url}/issuers/default/.well-known/jwks.json")
    keys = sw.JWKSet.from_dict(page)
    (signer,) = [key for key in page["keys"] if "voucher" in key]
    voucher = sw.verify_signature(signer["voucher"], keys)
    assert voucher.key_id == signer["vouched_by"]
    assert voucher.json()["iss"] == f"{running.url}/issuers/default"
    assert sw.PublicJWK.from_dict(voucher.json()["jwk"]).thumbprint() == signer["kid"]


def test_our_own_verifier_decides_over_it_as_over_any_other(running: Running) -> None:
    issued = running.client().issue_token("default", claims={"sub": "alice"}, audience="orders")
    decided = running.client().verify(issued["token"], audience="orders")
    assert (decided["outcome"], decided["key_id"]) == ("accepted", issued["key_id"])


def test_an_emergency_on_the_hsm_key_ends_its_delegated_tokens_at_once(running: Running) -> None:
    issued = running.client().issue_token("rs", claims={"sub": "alice"}, audience="orders")
    running.client().emergency_rotate("rs", key_id=None, reason="leaked")
    decided = running.client().verify(issued["token"], audience="orders")
    assert (decided["outcome"], decided["reason"]) == ("rejected", "key.revoked")
    page = fetch(f"{running.url}/issuers/rs/.well-known/jwks.json")
    assert issued["key_id"] not in [key["kid"] for key in page["keys"]]


def test_a_service_that_is_told_to_delegates_by_itself(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    table = {"algorithm": "ES256", "delegated_lifetime": "1h"}
    told = {"SEALWRIGHT_ISSUERS": json.dumps({"default": table})}
    service = start_service(tmp_path / "data", **SHORT_TIMINGS, **told)
    page = "/issuers/default/.well-known/jwks.json"

    def signed_by_a_delegated_key() -> bool:
        kid = sw.verify_signature(service.token(), sw.JWKSet.from_dict(service.request("GET", page).json())).key_id
        keys = service.request("GET", "/v1/keys?issuer=default").json()["keys"]
        return any(key["key_id"] == kid and key["purpose"] == "delegated" for key in keys)

    eventually(signed_by_a_delegated_key, "no delegated key signs", within_s=40)
    assert service.decide(service.token())["outcome"] == "accepted"
