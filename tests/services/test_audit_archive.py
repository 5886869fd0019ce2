"""Archiving: into files first, then noted, then out of the catalog; a death between the steps loses nothing."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sealwright as sw
from sealwright.cli.audit_archive import archive_trail
from sealwright.cli.audit_entries import ArchivedTrail, LiveTrail
from sealwright.cli.audit_verify import Roots, prove
from sealwright.keys.audit import head_of
from sealwright.services.key_service import audit_operations
from sealwright.services.key_service.operations import KeyOperations
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import OwnedFolder
from sealwright.wiring.starting import open_single_process

LATER = 10**11


class Death(BaseException):
    """The process ended here."""


class Dying:
    """Passes calls on, and dies before or after the n-th one that changes something."""

    def __init__(self, inner: Any, number: int, *, after: bool) -> None:
        self._inner, self._left, self._after = inner, number, after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            counts = name in ("archive", "prune")
            self._left -= counts
            if counts and self._left == 0 and not self._after:
                raise Death
            answer = getattr(self._inner, name)(*arguments, **named)
            if counts and self._left == 0:
                raise Death
            return answer

        return call


@pytest.fixture
def operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyOperations]:
    monkeypatch.setattr(audit_operations, "PRUNED_AT_ONCE", 7)
    settings = ServiceSettings.load(home=tmp_path / "data")
    with OwnedFolder(settings.home) as owned, open_single_process(settings, owned) as process:
        made = KeyOperations(process, "tester")
        for _ in range(20):
            made.sign_payload("default", payload=b"{}", typ="test+jws")
        yield made


def archive(operations: KeyOperations, folder: Path, cutoff: float = LATER) -> list[Any]:
    return archive_trail(operations.trail, folder, cutoff, "test", size=5)


def digests(trail: Any) -> list[str]:
    return [entry.digest for entry in trail.entries()]


def test_what_was_archived_is_gone_from_the_catalog_and_proven_together_with_it(
    operations: KeyOperations, tmp_path: Path
) -> None:
    live = LiveTrail(operations.trail)
    before = digests(live)
    segments = archive(operations, tmp_path)
    assert [one.first for one in segments] == list(range(1, len(before), 5))
    assert segments[-1].last == len(before) - 1  # the last one stays
    proven = prove(operations.trail)
    assert proven.archived == {"main": len(before) - 1}
    assert digests(live)[0] == before[-1]
    together = ArchivedTrail(tmp_path, live)
    assert digests(together)[: len(before)] == before
    assert prove(operations.trail, archive=tmp_path).archived == {}


def test_archiving_again_goes_on_where_it_ended(operations: KeyOperations, tmp_path: Path) -> None:
    for _ in range(3):
        archive(operations, tmp_path)
        operations.sign_payload("default", payload=b"{}", typ="test+jws")
    operations.trail.checkpoint(reason="test")
    assert prove(operations.trail).checkpoints == 1
    proven = prove(operations.trail, archive=tmp_path)
    assert proven.heads[0].sequence == proven.entries


def test_young_entries_stay(operations: KeyOperations, tmp_path: Path) -> None:
    assert archive(operations, tmp_path, cutoff=0) == []
    assert prove(operations.trail).archived == {}


def test_when_a_key_signed_last_outlives_the_entries_that_say_so(operations: KeyOperations, tmp_path: Path) -> None:
    before = [key.get("last_signed_at") for key in operations.keys("default")["keys"]]
    archive(operations, tmp_path)
    assert [key.get("last_signed_at") for key in operations.keys("default")["keys"]] == before
    assert any(before)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 8))
def test_a_death_at_any_step_loses_nothing(operations: KeyOperations, tmp_path: Path, number: int, after: bool) -> None:
    before = digests(LiveTrail(operations.trail))
    with pytest.raises(Death):
        archive_trail(Dying(operations.trail, number, after=after), tmp_path, LATER, "test", size=5)
    prove(operations.trail)
    prove(operations.trail, archive=tmp_path)
    assert digests(ArchivedTrail(tmp_path, LiveTrail(operations.trail)))[: len(before)] == before
    archive(operations, tmp_path)
    assert prove(operations.trail, archive=tmp_path).archived == {}
    assert digests(ArchivedTrail(tmp_path, LiveTrail(operations.trail)))[: len(before)] == before


def test_a_trail_that_is_broken_is_not_archived(operations: KeyOperations, tmp_path: Path) -> None:
    (chain,) = operations._process.signing.catalog.chains()
    head = next(operations._process.signing.catalog.audit(after=2))
    operations._process.signing.catalog.prune_audit(head_of(head), most=1)
    assert chain.before.sequence == 0
    with pytest.raises(sw.RejectedError, match="entry 1 of writer main is missing"):
        archive(operations, tmp_path)
    assert not list(tmp_path.glob("*.gz"))


def repacked(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


DAMAGE: dict[str, tuple[Callable[[list[Path]], Any], str]] = {
    "one is missing": (lambda files: files[1].unlink(), "entry 6 of writer main is missing"),
    "the last one is missing": (lambda files: files[-1].unlink(), "of writer main is missing"),
    "one was edited": (
        lambda files: repacked(files[1], lambda text: text.replace(b"tester", b"nobody", 1)),
        "of writer main was changed",
    ),
    "one was cut": (lambda files: repacked(files[1], lambda text: text[: text.rindex(b"\n", 0, -1) + 1]), "is missing"),
    "one was packed anew": (lambda files: repacked(files[1], lambda text: text), "is not the file that was archived"),
    "one is no archive": (lambda files: files[0].write_bytes(b"nonsense"), "cannot be read as audit entries"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_to_the_archive_is_noticed(operations: KeyOperations, tmp_path: Path, name: str) -> None:
    damage, expected = DAMAGE[name]
    archive(operations, tmp_path)
    damage(sorted(tmp_path.glob("*.jsonl.gz")))
    with pytest.raises(sw.RejectedError, match=expected) as caught:
        prove(operations.trail, archive=tmp_path)
    assert caught.value.reason == "audit.broken"
    prove(operations.trail)


def test_segments_that_are_not_what_the_catalog_holds_are_refused(operations: KeyOperations) -> None:
    page = operations.trail.page()["entries"]
    right = {"writer": "main", "first": 1, "last": 3, "digest": page[2]["digest"], "file": "f", "sha256": "0" * 64}
    last = {**right, "last": page[-1]["sequence"], "digest": page[-1]["digest"]}
    for wrong in ({**right, "first": 2}, {**right, "digest": "f" * 64}, {**right, "writer": "nobody"}, last):
        with pytest.raises(sw.RefusedError):
            operations.trail.archive([wrong], reason="test")
    assert operations.trail.prune() == {"deleted": 0}


def test_roots_that_were_kept_are_not_called_revoked_by_the_catalog(operations: KeyOperations) -> None:
    operations.trail.checkpoint(reason="test")
    kept = operations.trail.trust_roots()
    everything = {**kept, "revoked": [key["kid"] for key in kept["keys"]]}
    assert prove(operations.trail, roots=Roots(kept)).checkpoints == 1
    assert prove(operations.trail, roots=Roots(everything)).void == 1
    root = str(operations._process.signing.lifecycle.active("internal", "trust-root").key_id)
    operations._process.signing.lifecycle.emergency_rotate("internal", key_id=root, actor="mallory", reason="void it")
    assert (prove(operations.trail).checkpoints, prove(operations.trail).void) == (0, 1)
    assert prove(operations.trail, roots=Roots(kept)).checkpoints == 1
