"""The key-encryption key changes while everything goes on, and a kill at any instant loses no key."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

import sealwright as sw
from sealwright.keys.backends import local
from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.sealing import Sealer, parse_kek
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import DataFolder
from sealwright.wiring.key_encryption import KeyEncryption

HANDLES = [f"{number:032x}" for number in range(5)]


class Death(BaseException):
    """The process ended here."""


def opened(home: Path, **given: Any) -> tuple[KeyEncryption, LocalBackend]:
    """What a start does."""
    folder = DataFolder(home)
    encryption = KeyEncryption(ServiceSettings.load(home=home, **given), folder)
    backend = LocalBackend(folder.keys, encryption.sealer)
    encryption.holders.append(backend.reseal)
    encryption.finish()
    return encryption, backend


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    _, backend = opened(folder)
    for handle in HANDLES:
        backend.generate(handle, "Ed25519")
    return folder


def kek_of(home: Path) -> bytes:
    return parse_kek((home / "kek.key").read_text().strip())


def check_all_sign(backend: LocalBackend) -> None:
    for handle in HANDLES:
        public = backend.find(handle)
        assert public is not None
        assert public.verify(backend.sign(handle, b"data").value, b"data")


def test_after_a_rotation_the_old_kek_opens_nothing(home: Path) -> None:
    old = kek_of(home)
    encryption, backend = opened(home)
    assert encryption.rotate() == len(HANDLES) + 1  # and the check file
    backend.close()
    check_all_sign(backend)
    assert kek_of(home) != old
    assert not (home / "kek.previous").exists()
    with pytest.raises(sw.ConfigurationError):
        LocalBackend(home / "keys", Sealer.fixed(old))
    check_all_sign(LocalBackend(home / "keys", Sealer.fixed(kek_of(home))))


def test_another_process_of_the_same_folder_goes_on(home: Path) -> None:
    _, elsewhere = opened(home)
    encryption, backend = opened(home)
    encryption.rotate()
    check_all_sign(elsewhere)
    made = elsewhere.generate("ff" * 16, "Ed25519")
    backend.close()
    assert backend.find("ff" * 16) == made


@pytest.mark.parametrize("step", range(1, 2 * (len(HANDLES) + 1) + 4))
def test_a_kill_at_any_write_is_finished_by_the_next_start(
    home: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, left = kek_of(home), [step]

    def dying(write: Any, *, after: bool) -> Any:
        def call(*arguments: Any) -> None:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise Death
            write(*arguments)
            if left[0] == 0:
                raise Death

        return call

    encryption, _ = opened(home)
    with monkeypatch.context() as patched, contextlib.suppress(Death):
        patched.setattr(local, "_write_whole", dying(local._write_whole, after=step % 2 == 0))
        patched.setattr(DataFolder, "write_private", dying(DataFolder.write_private, after=step % 2 == 1))
        encryption.rotate()
    _, backend = opened(home)
    check_all_sign(backend)
    assert not (home / "kek.previous").exists()
    if kek_of(home) != old:
        with pytest.raises(sw.ConfigurationError):
            LocalBackend(home / "keys", Sealer.fixed(old))


def test_a_kek_from_elsewhere_is_changed_there_and_everything_is_sealed_anew_at_the_next_start(
    home: Path, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.kek", tmp_path / "new.kek"
    old.write_text((home / "kek.key").read_text())
    new.write_text("11" * 32)
    (home / "kek.key").unlink()
    _, backend = opened(home, kek_file=new, previous_kek_file=old)
    check_all_sign(backend)
    check_all_sign(opened(home, kek_file=new)[1])
    with pytest.raises(sw.ConfigurationError):
        opened(home, kek_file=old)
