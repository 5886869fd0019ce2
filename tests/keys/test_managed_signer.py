"""What is released was verified and audited, by the key that is active at that moment."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from world import WHO, World

import sealwright as sw
from sealwright.events import TokenSigned
from sealwright.jose import compact
from sealwright.keys.audit import check_chain
from sealwright.keys.backend import BackendSignature
from sealwright.keys.catalogs.sql import SqlCatalog
from sealwright.keys.publication import published_keys
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings


def signatures(world: World) -> list[Any]:
    return [entry for entry in world.stored.audit() if entry.action == "token.signed"]


def audited(world: World) -> list[tuple[str, str]]:
    """The kid and the digest of each signature that the audit knows."""
    return [(entry.key_id, one["signature_sha256"]) for entry in signatures(world) for one in entry.facts["signatures"]]


def digest_of(token: str) -> str:
    return hashlib.sha256(compact.parse(token).signature).hexdigest()


def test_a_token_is_signed_by_the_active_key_and_audited_without_itself(world: World) -> None:
    signed = world.signer.sign(b'{"a":1}', typ="x+jws", actor="alice")
    jws = sw.verify_signature(signed.token, published_keys(world.stored.records(), "default"))
    assert (jws.payload, jws.header.type, jws.key_id) == (b'{"a":1}', "x+jws", signed.key_id)
    (entry,) = signatures(world)
    (one,) = entry.facts["signatures"]
    assert (entry.actor, entry.key_id) == ("alice", signed.key_id)
    assert one == {
        "signing_input_sha256": hashlib.sha256(compact.parse(signed.token).signing_input).hexdigest(),
        "signature_sha256": digest_of(signed.token),
        "actor": "alice",
    }
    assert not any(part in repr(entry) + repr(signed) for part in signed.token.split("."))
    assert world.one(KeyState.ACTIVE).last_signed_at == world.clock.now()


def test_a_signature_that_does_not_verify_is_never_released(world: World) -> None:
    world.held.sign = lambda *_: BackendSignature(b"x" * 64)
    with pytest.raises(sw.BackendError) as caught:
        world.signer.sign(b"{}", typ=None, actor="alice")
    assert caught.value.reason == "backend.wrong_signature"
    assert signatures(world) == []
    assert [event.reason for event in world.events if isinstance(event, TokenSigned)] == ["backend.wrong_signature"]


def test_what_cannot_be_audited_is_not_released(world: World) -> None:
    def down() -> None:
        raise sw.UnavailableError(sw.Reason.CATALOG_UNAVAILABLE, "down")

    world.catalog.before_call = down
    with pytest.raises(sw.UnavailableError):
        world.signer.sign(b"{}", typ=None, actor="alice")


def test_a_rotation_in_between_signs_with_the_new_key(world: World) -> None:
    world.signer.sign(b"{}", typ=None, actor="alice")
    old = world.one(KeyState.ACTIVE)

    def rotate_once() -> None:
        world.mend()
        world.keys.rotate("default", **WHO)

    world.backend.after_call = rotate_once
    signed = world.signer.sign(b"{}", typ=None, actor="alice")
    assert signed.key_id == world.one(KeyState.ACTIVE).key_id != old.key_id
    assert compact.parse(signed.token).header.key_id == signed.key_id
    assert len(signatures(world)) == 2


def test_a_key_that_was_revoked_meanwhile_signs_nothing(world: World) -> None:
    leaked = world.one(KeyState.ACTIVE)

    def emergency() -> None:
        world.mend()
        world.keys.emergency_rotate("default", **WHO)

    world.backend.after_call = emergency
    assert world.signer.sign(b"{}", typ=None, actor="alice").key_id != leaked.key_id
    assert leaked.key_id not in [entry.key_id for entry in signatures(world)]


def test_an_unknown_issuer_signs_nothing() -> None:
    with pytest.raises(sw.RefusedError) as caught:
        World().signer.sign(b"{}", typ=None, actor="alice")
    assert caught.value.reason == "move.unknown_issuer"


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[World]:
    quick = KeyTimings(jwks_max_age_s=0, worst_consumer_cache_s=0, replication_s=0, published_keys=100)
    catalog = SqlCatalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    yield World(catalog, timings=quick).opened()
    catalog.close()


def test_threads_that_sign_while_another_rotates_release_only_what_verifies(on_disk: World) -> None:
    released: list[str] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def sign() -> None:
        try:
            while not stop.is_set():
                released.append(on_disk.signer.sign(b"{}", typ=None, actor="thread").token)
        except BaseException as error:  # noqa: BLE001 reported by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=sign) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        on_disk.keys.rotate("default", **WHO)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    keys = published_keys(on_disk.stored.records(), "default")
    assert len({sw.verify_signature(token, keys).key_id for token in released}) > 1
    assert check_chain(on_disk.stored.audit()) > 15
    assert sorted(audited(on_disk)) == sorted((str(compact.parse(t).header.key_id), digest_of(t)) for t in released)


def test_threads_that_rotate_together_never_make_two_active_keys(on_disk: World) -> None:
    def rotate() -> None:
        for _ in range(5):
            on_disk.keys.rotate("default", **WHO)

    threads = [threading.Thread(target=rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    on_disk.check()
    assert on_disk.states().count("verify_only") == 20
