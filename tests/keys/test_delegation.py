"""Delegated keys: vouched for, published before they sign, short-lived, and no better than the key behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from world import WHO, World

import sealwright as sw
from sealwright.errors import BackendError, Reason, RefusedError
from sealwright.jose import compact
from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.backends.memory import MemoryBackend
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.delegation import DelegatedKeys
from sealwright.keys.journal import Journal
from sealwright.keys.managed_signer import ManagedSigner
from sealwright.keys.policy import FixedPolicies, IssuerPolicy
from sealwright.keys.publication import published_keys, revoked_key_ids
from sealwright.keys.record import KeyRecord
from sealwright.keys.sealing import Sealer
from sealwright.keys.timings import KeyTimings

LIFETIME_S = 3600.0
TIMINGS = KeyTimings(rotation_period_s=0)


class Replica:
    """One process: an HSM that all share, and software keys of its own."""

    def __init__(self, world: World, *, software: object = None) -> None:
        self.world = world
        self.software = software or MemoryBackend()
        self.backends = {"local": world.backend, "software": self.software}
        self.signer = ManagedSigner(world.catalog, self.backends, "default", clock=world.clock, observer=world)  # type: ignore[arg-type]
        journal = Journal(world.catalog, self.backends, world.policies, world.clock, world)  # type: ignore[arg-type]
        self.delegated = DelegatedKeys(journal, self.backends, lambda _: self.signer, backend="software")  # type: ignore[arg-type]

    def children(self, state: str | None = None) -> list[KeyRecord]:
        records = [record for record in self.world.stored.records("default") if record.purpose == "delegated"]
        return [record for record in records if state in (None, record.state)]

    def ready(self) -> KeyRecord:
        """A delegated key that signs."""
        self.delegated.tick()
        self.world.clock.advance(TIMINGS.standby_dwell_s)
        self.delegated.tick()
        (child,) = self.children("active")
        return child

    def signed_by(self) -> str:
        return self.signer.sign(b"{}", typ="x+jws", actor="alice").key_id


def delegating(world: World) -> World:
    world.timings = TIMINGS
    world.policies = FixedPolicies(IssuerPolicy(timings=TIMINGS, delegated_lifetime_s=LIFETIME_S))
    world.start()
    return world.opened()


@pytest.fixture
def replica() -> Replica:
    return Replica(delegating(World()))


def active_id(world: World) -> str:
    (found,) = [r for r in world.stored.records("default") if r.purpose == "token" and r.state == "active"]
    return str(found.key_id)


def test_a_delegated_key_is_published_for_the_dwell_before_it_signs(replica: Replica) -> None:
    replica.delegated.tick()
    (child,) = replica.children()
    assert child.state == "standby"
    assert child.key_id in replica.world.published_ids()
    assert replica.signed_by() == active_id(replica.world)
    replica.world.clock.advance(TIMINGS.standby_dwell_s - 1)
    replica.delegated.tick()
    assert replica.signed_by() == active_id(replica.world)
    replica.world.clock.advance(1)
    replica.delegated.tick()
    assert replica.signed_by() == child.key_id


def test_the_parent_vouches_for_the_key_in_the_published_set(replica: Replica) -> None:
    child, parent = replica.ready(), active_id(replica.world)
    keys = published_keys(replica.world.stored.records(), "default")
    shown = keys.find(child.key_id).to_dict()
    assert shown["vouched_by"] == parent == child.parent
    voucher = sw.verify_signature(shown["voucher"], keys)
    assert (voucher.key_id, voucher.header.type) == (parent, "delegated-key+jwt")
    claims = voucher.json()
    assert sw.PublicJWK.from_dict(claims["jwk"]).thumbprint() == child.key_id == claims["sub"]
    assert claims["iss"] == "default"
    assert claims["exp"] == int(child.expires_at + TIMINGS.verify_tail_s)  # type: ignore[operator]


def test_every_signature_of_a_delegated_key_is_audited_and_verifies_against_the_set(replica: Replica) -> None:
    child = replica.ready()
    signed = replica.signer.sign_batch([(b"{}", None)] * 3, actor="alice")
    keys = published_keys(replica.world.stored.records(), "default")
    assert {sw.verify_signature(one.token, keys).key_id for one in signed} == {child.key_id}
    last = list(replica.world.stored.audit())[-1]
    assert (last.action, last.key_id, len(last.facts["signatures"])) == ("token.signed", child.key_id, 3)


def test_there_is_always_a_delegated_key_that_signs_and_each_goes_all_the_way(replica: Replica) -> None:
    first, signers = replica.ready(), set()
    for _ in range(60):
        replica.world.clock.advance(LIFETIME_S / 20)
        replica.delegated.tick()
        assert len(replica.world.published_ids()) <= 7
        signers.add(replica.signed_by())
    assert active_id(replica.world) not in signers
    assert len(signers) > 2
    ended = next(child for child in replica.children() if child.handle == first.handle)
    assert ended.state == "destroyed"
    assert ended.destroyed_at is not None
    held = {str(child.handle) for child in replica.children() if child.state in ("standby", "active")}
    assert set(replica.software.handles()) == held  # type: ignore[attr-defined]


def test_a_key_that_expired_does_not_sign_even_if_nobody_ticks(replica: Replica) -> None:
    child = replica.ready()
    replica.world.clock.advance((child.expires_at or 0) - replica.world.clock.now() - 1)
    assert replica.signed_by() == child.key_id
    replica.world.clock.advance(1)
    assert replica.signed_by() == active_id(replica.world)


def test_a_rotation_of_the_parent_keeps_its_child_until_the_next_one_is_ready(replica: Replica) -> None:
    child = replica.ready()
    replica.world.keys.rotate("default", **WHO)
    assert replica.signed_by() == child.key_id
    replica.delegated.tick()
    (following,) = replica.children("standby")
    assert following.parent == active_id(replica.world) != child.parent
    replica.world.clock.advance(TIMINGS.standby_dwell_s)
    replica.delegated.tick()
    assert replica.signed_by() == following.key_id


def test_a_key_whose_parent_is_retired_signs_no_more(replica: Replica) -> None:
    child = replica.ready()
    replica.world.keys.rotate("default", **WHO)
    assert replica.signed_by() == child.key_id
    replica.world.keys.retire(str(child.parent), actor="operator", reason="decommissioned", force=True)
    assert replica.signed_by() == active_id(replica.world)


def test_an_emergency_on_the_parent_revokes_its_children_in_the_same_transaction(replica: Replica) -> None:
    child = replica.ready()
    replica.delegated.tick()
    rotation = replica.world.keys.emergency_rotate("default", actor="operator", reason="leaked")
    assert child.key_id in revoked_key_ids(replica.world.stored.records(), "default")
    assert child.key_id not in replica.world.published_ids()
    assert replica.signed_by() == rotation.active.key_id
    replica.delegated.tick()
    assert child.handle not in replica.software.handles()  # type: ignore[attr-defined]
    assert [one.parent for one in replica.children("standby")] == [rotation.active.key_id]


def test_an_emergency_while_a_key_is_vouched_for_publishes_nothing_of_the_leaked_key(replica: Replica) -> None:
    leaked = active_id(replica.world)

    def emergency() -> None:
        replica.world.mend()
        replica.world.keys.emergency_rotate("default", actor="operator", reason="leaked")

    replica.world.backend.after_call = emergency  # the parent has just signed the voucher
    said = replica.delegated.tick()
    assert any("not now" in line for line in said), said
    assert replica.world.failures() == []  # somebody else was faster, which is no failure
    published = published_keys(replica.world.stored.records(), "default")
    assert leaked not in [key.members.get("vouched_by") for key in published]
    replica.delegated.tick()
    assert [one.parent for one in replica.children("standby")] == [active_id(replica.world)]


def test_an_emergency_right_after_the_voucher_was_released_publishes_nothing_of_the_leaked_key(
    replica: Replica,
) -> None:
    leaked = active_id(replica.world)

    def emergency() -> None:
        if list(replica.world.stored.audit())[-1].action == "token.signed":
            replica.world.mend()
            replica.world.keys.emergency_rotate("default", actor="operator", reason="leaked")

    replica.world.catalog.after_call = emergency
    assert any("not now" in line for line in replica.delegated.tick())
    published = published_keys(replica.world.stored.records(), "default")
    assert leaked not in [key.members.get("vouched_by") for key in published]


def test_a_parent_that_cannot_vouch_leaves_one_key_for_the_next_try(replica: Replica) -> None:
    replica.world.fail_backend()
    for _ in range(3):
        assert any("not now" in line for line in replica.delegated.tick())
    assert replica.world.failures() == [("delegation", "backend.failed")] * 3
    assert [one.state for one in replica.children()] == ["pending"]
    replica.world.mend()
    replica.delegated.tick()
    assert [one.state for one in replica.children()] == ["standby"]


def test_each_replica_signs_with_its_own_key_and_tidies_up_after_one_that_died(replica: Replica) -> None:
    other = Replica(replica.world)
    replica.delegated.tick()
    other.delegated.tick()
    assert len(replica.children("standby")) == 2
    replica.world.clock.advance(TIMINGS.standby_dwell_s)
    replica.delegated.tick()
    other.delegated.tick()
    assert replica.signed_by() != other.signed_by()
    dead = other.signed_by()
    for _ in range(60):
        replica.world.clock.advance(LIFETIME_S / 20)
        replica.delegated.tick()
    assert next(one.state for one in replica.children() if one.key_id == dead) in ("retired", "destroyed")


def test_delegated_keys_leave_room_for_the_keys_of_the_issuer(replica: Replica) -> None:
    crowd = [Replica(replica.world) for _ in range(TIMINGS.published_keys)]
    said = [line for one in crowd for line in one.delegated.tick()]
    assert any("publishes" in line and "not now" in line for line in said)
    assert set(replica.world.failures()) == {("delegation", "guard.published_keys")}
    assert len(replica.world.published_ids()) == TIMINGS.published_keys - 2
    replica.world.clock.advance(TIMINGS.standby_dwell_s)
    replica.world.keys.rotate("default", **WHO)


def test_an_issuer_without_a_lifetime_has_no_delegated_keys() -> None:
    plain = Replica(World().opened())
    assert plain.delegated.tick() == []
    assert plain.children() == []


def test_a_key_destroyed_under_the_signer_makes_it_look_again(replica: Replica) -> None:
    child = replica.ready()

    def destroyed(handle: str, _: bytes) -> None:
        del replica.software.sign  # type: ignore[attr-defined]
        replica.world.keys.revoke(str(child.key_id), actor="operator", reason="leaked")
        raise BackendError(Reason.BACKEND_KEY_MISSING, f"no {handle}")

    replica.software.sign = destroyed  # type: ignore[attr-defined]
    assert replica.signed_by() == active_id(replica.world)


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Replica]:
    catalog = SqlCatalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    software = LocalBackend(tmp_path / "software", Sealer.fixed(b"s" * 32))
    yield Replica(
        delegating(World(catalog, LocalBackend(tmp_path / "keys", Sealer.fixed(b"k" * 32)))), software=software
    )
    catalog.close()


def test_a_restart_keeps_the_delegated_key_of_this_machine(on_disk: Replica, tmp_path: Path) -> None:
    child = on_disk.ready()
    on_disk.world.start().recover(actor="sealwright")
    again = Replica(on_disk.world, software=LocalBackend(tmp_path / "software", Sealer.fixed(b"s" * 32)))
    assert compact.parse(again.signer.sign(b"{}", typ=None, actor="alice").token).header.key_id == child.key_id


def test_only_the_key_itself_can_vouch(replica: Replica) -> None:
    """A delegated key never signs a voucher: what it vouched for would outlive the proof of the HSM."""
    replica.ready()
    replica.world.clock.advance(LIFETIME_S)
    replica.delegated.tick()
    keys = published_keys(replica.world.stored.records(), "default")
    vouchers = [key.members["voucher"] for key in keys if "voucher" in key.members]
    assert vouchers
    assert {sw.verify_signature(voucher, keys).key_id for voucher in vouchers} == {active_id(replica.world)}


def test_a_delegated_key_that_is_revoked_alone_leaves_its_parent_signing(replica: Replica) -> None:
    child = replica.ready()
    replica.world.keys.revoke(str(child.key_id), actor="operator", reason="laptop lost")
    assert replica.signed_by() == active_id(replica.world)
    with pytest.raises(RefusedError):
        replica.world.keys.restore(str(child.key_id), **WHO)
