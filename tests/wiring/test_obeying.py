"""What a poll brings is fetched for the issuer that it is about, whatever the others are doing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from jwks_server import JwksServer

import sealwright as sw
from sealwright.clock import SYSTEM_CLOCK
from sealwright.jose.jwk_set import JWKSet
from sealwright.statements.security_events import KeysChanged
from sealwright.trust.issuers import TrustedIssuer
from sealwright.trust.policy import VerificationPolicy
from sealwright.trust.revocation_feeds import RevocationFeeds
from sealwright.trust.sources.remote import RemoteJWKSet
from sealwright.trust.trust_root import TrustRoot
from sealwright.wiring.obeying import Obeying

KEY = sw.PrivateJWK.generate("ES256", key_id="k")
OWN = "https://own.example"


@pytest.fixture
def server() -> Iterator[JwksServer]:
    started = JwksServer()
    yield started
    started.stop()


def trusted(issuer: str, url: str) -> TrustedIssuer:
    return TrustedIssuer(VerificationPolicy(issuer=issuer, audience="orders"), RemoteJWKSet(url))


@pytest.mark.parametrize(("events", "at_most_s"), [([KeysChanged(OWN, 1)], 3.0), ([], 8.0)])
def test_issuers_that_hang_do_not_keep_an_event_about_another_waiting(
    server: JwksServer, events: list[KeysChanged], at_most_s: float, tmp_path: Path
) -> None:
    server.publish(KEY)
    feeds = RevocationFeeds([], TrustRoot(JWKSet([KEY.public])), tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent, closing(feeds):
        hanging = [trusted(f"https://{n}.example", f"http://127.0.0.1:{silent.getsockname()[1]}/{n}") for n in range(4)]
        with sw.Verifier(issuers=[*hanging, trusted(OWN, server.url)]) as verifier:
            began = time.monotonic()
            Obeying(feeds, None, None, SYSTEM_CLOCK).refetch(verifier, events)  # each of those that hang takes 5 s
            assert time.monotonic() - began < at_most_s
            assert len(server.requests) == 1
