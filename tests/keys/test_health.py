"""A backend is healthy when it has just signed, and not because it answered."""

from __future__ import annotations

from dataclasses import replace

from world import World

import sealwright as sw
from sealwright.errors import BackendError, Reason
from sealwright.jose import compact
from sealwright.keys.backend import BackendSignature
from sealwright.keys.backends.memory import MemoryBackend
from sealwright.keys.health import PROBE, BackendHealth, check_health
from sealwright.keys.states import KeyState


def health(world: World, **more: MemoryBackend) -> list[BackendHealth]:
    return check_health(world.stored.records(), {"local": world.backend, **more})


def test_each_backend_signs_with_one_active_key_and_nothing_is_audited() -> None:
    world = World().opened()
    before = len(list(world.stored.audit()))
    assert health(world, idle=MemoryBackend()) == [BackendHealth("local", str(world.one(KeyState.ACTIVE).key_id))]
    assert len(list(world.stored.audit())) == before


def test_one_that_fails_signs_wrongly_lost_its_key_or_is_not_there_is_named_with_the_reason() -> None:
    world = World().opened()
    active = world.one(KeyState.ACTIVE)
    world.fail_backend()
    assert [one.reason for one in health(world)] == ["backend.failed"]
    world.mend()
    world.backend.sign = lambda *_: BackendSignature(b"x" * 64)
    assert [one.reason for one in health(world)] == ["backend.wrong_signature"]
    assert [one.reason for one in check_health(world.stored.records(), {})] == ["backend.failed"]
    lost = MemoryBackend()
    assert [one.reason for one in check_health([active], {"local": lost})] == ["backend.key_missing"]
    assert check_health([replace(active, parent="other")], {}) == []


def test_one_that_is_down_keeps_no_other_from_being_tried() -> None:
    world = World().opened()
    other = MemoryBackend()
    public = other.generate("ab" * 16, "ES256")
    facts = {"handle": "ab" * 16, "backend": "other", "key_id": public.key_id, "public": public.to_dict()}
    there = replace(world.one(KeyState.ACTIVE), **facts, algorithm="ES256")
    world.backend.before_call = lambda: _raise(BackendError(Reason.BACKEND_THROTTLED, "too often"))
    found = check_health([*world.stored.records(), there], {"local": world.backend, "other": other})
    assert [(one.backend, one.reason) for one in found] == [("local", "backend.throttled"), ("other", None)]


def _raise(error: Exception) -> None:
    raise error


def test_what_is_signed_can_never_be_a_token() -> None:
    key = sw.PrivateJWK.generate("ES256")
    probe = PROBE + b"00" * 16
    try:
        compact.parse(probe + b"." + key.sign(probe))
    except sw.RejectedError:
        return
    raise AssertionError("a probe was read as a token")
