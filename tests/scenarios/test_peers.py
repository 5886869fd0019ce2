"""Our tokens under other people's verifiers through our JWKS URL, and theirs under ours."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from command_here import run_here
from jose_peers import PEERS, Peer
from running_service import RunningService

import sealwright as sw
from sealwright.clock import SYSTEM_CLOCK

ISSUERS = {"RS256": "rs", "PS256": "ps", "ES256": "default", "EdDSA": "ed", "Ed25519": "ed25519", "ML-DSA-65": "pq"}
pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # EdDSA is an older name
CASES = [pytest.param(peer, alg, id=f"{peer.name}-{alg}") for peer in PEERS for alg in peer.algorithms]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    issuers = json.dumps({name: alg for alg, name in ISSUERS.items()})
    # Consumers are declared to cache nothing, so that rotations here need not wait for their caches.
    timings = {"WORST_CONSUMER_CACHE_S": "0", "JWKS_MAX_AGE_S": "0", "REPLICATION_S": "0"}
    shortened = {f"SEALWRIGHT_TIMINGS__{name}": value for name, value in timings.items()}
    running = RunningService(tmp_path_factory.mktemp("peers") / "data", {"SEALWRIGHT_ISSUERS": issuers, **shortened})
    yield running
    running.kill()


def present(peer: Peer) -> None:
    reason = peer.missing()
    if reason:
        pytest.skip(f"{peer.name}: {reason}")


@pytest.mark.parametrize(("peer", "alg"), CASES)
def test_a_peer_accepts_our_tokens_before_and_after_a_rotation(service: RunningService, peer: Peer, alg: str) -> None:
    present(peer)
    name = ISSUERS[alg]
    issuer = f"{service.url}/issuers/{name}"
    old = service.token(name)
    assert service.request("POST", f"/v1/issuers/{name}/rotate", {"reason": "test"}).status == 200
    new = service.token(name)
    for token in (old, new):
        claims = peer.verify(token, f"{issuer}/.well-known/jwks.json", issuer, "orders")
        assert claims["sub"] == "alice"
        assert service.decide(token)["outcome"] == "accepted"
    assert (
        sw.verify_signature(old, jwks_of(service, name)).key_id
        != sw.verify_signature(new, jwks_of(service, name)).key_id
    )
    for key_id in service.keys(name).get("verify_only", []):  # keep the published set below its cap
        body = {"reason": "end of test", "force": True}
        assert service.request("POST", f"/v1/keys/{key_id}/retire", body).status == 200


@pytest.mark.parametrize(("peer", "alg"), CASES)
def test_a_peer_refuses_our_token_once_it_was_changed(service: RunningService, peer: Peer, alg: str) -> None:
    present(peer)
    issuer = f"{service.url}/issuers/{ISSUERS[alg]}"
    header, payload, signature = service.token(ISSUERS[alg]).split(".")
    forged = ".".join((header, payload, ("B" if signature[9] == "A" else "A").join((signature[:9], signature[10:]))))
    with pytest.raises(Exception):  # noqa: B017, PT011 each peer has errors of its own
        peer.verify(forged, f"{issuer}/.well-known/jwks.json", issuer, "orders")


@pytest.mark.parametrize(("peer", "alg"), CASES)
def test_we_accept_a_peers_tokens_through_its_jwks_url(peer: Peer, alg: str) -> None:
    present(peer)
    now = int(SYSTEM_CLOCK.now())
    issuer = "https://peer.example"
    claims = {"iss": issuer, "aud": "orders", "sub": "bob", "iat": now, "exp": now + 300}
    token, jwks = peer.sign(alg, claims)
    with serve(jwks) as url, sw.RemoteJWKSet(url) as keys:
        verifier = sw.Verifier(issuer=issuer, audience="orders", keys=keys)
        assert verifier.verify(token).claims["sub"] == "bob"
        with pytest.raises(sw.RejectedError) as refused:
            verifier.verify(token[:-8] + ("A" * 8 if not token.endswith("A" * 8) else "B" * 8))
        assert refused.value.reason in ("signature.invalid", "token.encoding")
        asked = ("verify", "--audience", "orders", "--issuer", issuer, "--jwks", url, "--json")
        assert json.loads(run_here(*asked, stdin=token).stdout)["outcome"] == "accepted"


def test_our_own_remote_verifier_follows_the_jwks_url_as_third_parties_do(service: RunningService) -> None:
    issuer = f"{service.url}/issuers/default"
    with sw.RemoteJWKSet(f"{issuer}/.well-known/jwks.json") as keys:
        verifier = sw.Verifier(issuer=issuer, audience="orders", keys=keys)
        assert verifier.verify(service.token()).key_id == service.keys()["active"][0]


def jwks_of(service: RunningService, name: str) -> sw.JWKSet:
    page = service.request("GET", f"/issuers/{name}/.well-known/jwks.json", credential=None)
    return sw.JWKSet.from_dict(page.json())


class serve:  # noqa: N801 reads as a verb
    """One JWK Set on a free loopback port."""

    def __init__(self, jwks: dict[str, object]) -> None:
        body = json.dumps(jwks).encode()

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/jwks.json"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
