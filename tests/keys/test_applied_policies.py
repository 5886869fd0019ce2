"""An applied policy is a document: whole, the same for every replica, and never lost to somebody faster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from world import WHO, World

import sealwright as sw
from sealwright.keys.applied_policies import CatalogPolicies, policy_put, read_policy, written_policy
from sealwright.keys.audit import AuditEntry
from sealwright.keys.policy import FixedPolicies, IssuerPolicy
from sealwright.keys.timings import KeyTimings

ENTRY = AuditEntry(0.0, "tester", "policy.applied", "default", None, "test", {})
POLICY = IssuerPolicy("ES256", "hsm", KeyTimings(leeway_s=5), {"force": 1}, "Team", "oncall", "https://wiki.example")


def test_a_policy_is_read_as_it_was_written() -> None:
    assert read_policy(written_policy(POLICY)) == POLICY


def test_a_policy_of_a_newer_or_older_release_is_understood() -> None:
    written = written_policy(POLICY)
    newer = {**written, "colour": "blue", "timings": {**written["timings"], "nap_s": 3}}
    assert read_policy(newer) == POLICY
    assert read_policy({"algorithm": "ES256", "timings": {"leeway_s": 5}}).timings.leeway_s == 5


def test_every_replica_lives_by_an_applied_policy_and_others_by_the_settings(world: World) -> None:
    settings = FixedPolicies(IssuerPolicy(owner="settings"))
    replicas = [CatalogPolicies(world.stored, settings) for _ in range(2)]
    assert [replica.of("default").owner for replica in replicas] == ["settings", "settings"]
    world.stored.commit([policy_put(world.stored, "default", POLICY)], ENTRY)
    assert [replica.of("default") for replica in replicas] == [POLICY, POLICY]
    assert replicas[0].of("another").owner == "settings"


def test_of_two_that_apply_at_once_one_is_refused(world: World, refuses: Callable[..., sw.RefusedError]) -> None:
    puts = [policy_put(world.stored, "default", replace(POLICY, owner=name)) for name in ("A", "B")]
    world.stored.commit([puts[0]], ENTRY)
    refuses("catalog.conflict", world.stored.commit, [puts[1]], ENTRY)
    assert world.policies.of("default").owner == "A"


def test_new_keys_and_guards_follow_the_applied_policy(world: World, refuses: Callable[..., sw.RefusedError]) -> None:
    world.clock.advance(1)
    world.keys.rotate("default", **WHO)
    refuses("guard.dwell", world.keys.rotate, "default", **WHO)
    quick = KeyTimings(jwks_max_age_s=0, worst_consumer_cache_s=0, replication_s=0)
    world.stored.commit([policy_put(world.stored, "default", IssuerPolicy("Ed25519", timings=quick))], ENTRY)
    world.keys.rotate("default", **WHO)


def test_a_policy_that_names_a_backend_that_is_not_here_makes_no_key(world: World) -> None:
    world.stored.commit([policy_put(world.stored, "default", replace(POLICY, algorithm="Ed25519"))], ENTRY)
    with pytest.raises(sw.BackendError, match="no key backend is called hsm here"):
        world.keys.rollouts.start("default", "ES256", **WHO)
