"""A delegated key whose issuer asks for certificates has one, and a path to the key that vouches for it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from test_delegation import LIFETIME_S, TIMINGS, Replica
from world import World

import sealwright as sw
from sealwright.jose.x509 import verify_chain
from sealwright.keys.delegation import CERTIFICATE
from sealwright.keys.policy import FixedPolicies, IssuerPolicy
from sealwright.keys.vouching_certificates import ALGORITHMS


def replica_of(algorithm: str) -> Replica:
    world = World()
    world.timings = TIMINGS
    policy = IssuerPolicy(algorithm, timings=TIMINGS, delegated_lifetime_s=LIFETIME_S, delegated_x5c=True)
    world.policies = FixedPolicies(policy)
    world.start()
    world.keys.open_issuer("default", actor="tester", reason="test")
    replica = Replica(world)
    replica.delegated.tick()
    return replica


def published(replica: Replica) -> dict[str, Any]:
    (child,) = replica.children()
    return dict(child.public or {})


def anchor(replica: Replica) -> bytes:
    (kept,) = replica.world.stored.documents(CERTIFICATE).values()
    return base64.b64decode(kept.body["der"])


def at(replica: Replica, seconds: float = 0) -> datetime:
    return datetime.fromtimestamp(replica.world.clock.now() + seconds, UTC)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_its_chain_leads_to_the_certificate_of_the_key_that_vouches(algorithm: str) -> None:
    replica = replica_of(algorithm)
    public = published(replica)
    assert sw.PublicJWK.from_dict(public).key_id == public["kid"]  # x5c is its own, or this would refuse it
    key = verify_chain(public["x5c"], anchors=[anchor(replica)], now=at(replica), alg=algorithm)
    assert key.thumbprint() == public["kid"]
    leaf = x509.load_der_x509_certificate(base64.b64decode(public["x5c"][0]))
    leaf.verify_directly_issued_by(x509.load_der_x509_certificate(anchor(replica)))


def test_it_ends_with_the_last_token_of_its_key_and_another_anchor_does_not_vouch() -> None:
    replica, stranger = replica_of("ES256"), replica_of("ES256")
    chain = published(replica)["x5c"]
    ends_s = TIMINGS.standby_dwell_s + LIFETIME_S + TIMINGS.verify_tail_s
    verify_chain(chain, anchors=[anchor(replica)], now=at(replica, ends_s - 2), alg="ES256")
    for anchors, now in (([anchor(replica)], at(replica, ends_s + 2)), ([anchor(stranger)], at(replica))):
        with pytest.raises(sw.RejectedError) as caught:
            verify_chain(chain, anchors=anchors, now=now, alg="ES256")
        assert caught.value.reason == "key.certificate"


def test_the_anchor_is_made_once_and_the_audit_has_the_digest_of_both() -> None:
    replica = replica_of("ES256")
    first = anchor(replica)
    replica.world.clock.advance(TIMINGS.standby_dwell_s + LIFETIME_S * 0.95)
    replica.delegated.tick()
    assert len(replica.children()) == 2
    assert anchor(replica) == first
    entries = [entry for entry in replica.world.stored.audit() if "certificate_sha256" in entry.facts]
    assert [entry.action for entry in entries] == ["key.certified", "key.published", "key.published"]


def test_a_key_of_another_kind_has_none() -> None:
    assert "x5c" not in published(replica_of("Ed25519"))
