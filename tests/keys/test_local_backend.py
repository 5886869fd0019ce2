"""Sealed files: the wrong key-encryption key, damage, and what stays secret."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

import sealwright as sw
from sealwright.keys.backends.local import LocalBackend
from sealwright.keys.sealing import Sealer, parse_kek

KEK, OTHER = b"k" * 32, b"o" * 32
HANDLE = "ab" * 16


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    LocalBackend(tmp_path / "keys", Sealer.fixed(KEK)).generate(HANDLE, "ES256")
    return tmp_path / "keys"


def sealed(folder: Path) -> Path:
    (path,) = folder.glob("*.sealed")
    return path


def test_another_kek_is_refused_and_nothing_is_written(folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(sw.ConfigurationError) as caught:
        LocalBackend(folder, Sealer.fixed(OTHER))
    assert caught.value.reason == "settings.kek_wrong"
    assert contents(folder) == before


def test_stored_keys_without_their_check_file_are_refused(folder: Path) -> None:
    (folder / "kek-check").unlink()
    before = contents(folder)
    with pytest.raises(sw.ConfigurationError):
        LocalBackend(folder, Sealer.fixed(KEK))
    assert contents(folder) == before


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:0], lambda b: b[:5] + bytes([b[5] ^ 1]) + b[6:]])
def test_a_damaged_file_is_a_backend_error(folder: Path, damage: object) -> None:
    path = sealed(folder)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    backend = LocalBackend(folder, Sealer.fixed(KEK))
    for call in (lambda: backend.sign(HANDLE, b"x"), lambda: backend.find(HANDLE)):
        with pytest.raises(sw.BackendError) as caught:
            call()
        assert caught.value.reason == "backend.failed"


def test_a_file_under_another_handle_is_not_that_handles_key(folder: Path) -> None:
    sealed(folder).rename(folder / f"{'cd' * 16}.sealed")
    with pytest.raises(sw.BackendError):
        LocalBackend(folder, Sealer.fixed(KEK)).find("cd" * 16)


@pytest.mark.parametrize("handle", ["../escape", "a/b", "", "a.b"])
def test_a_handle_never_leaves_the_folder(folder: Path, handle: str) -> None:
    with pytest.raises(sw.BackendError):
        LocalBackend(folder, Sealer.fixed(KEK)).generate(handle, "ES256")


def test_files_are_their_owners_and_hold_nothing_in_the_clear(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"kty" not in path.read_bytes()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(sw.ConfigurationError) as caught:
        LocalBackend(tmp_path / "file" / "keys", Sealer.fixed(KEK))
    assert caught.value.reason == "settings.folder_unwritable"


@pytest.mark.parametrize(
    "text", [KEK.hex(), "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="]
)
def test_a_kek_is_32_bytes_as_base64url_or_hex(text: str) -> None:
    assert parse_kek(text) == KEK


@pytest.mark.parametrize("text", ["", "short", "é" * 43, KEK.hex() + "00", "g" * 64, "!" * 43])
def test_any_other_kek_is_refused_and_never_echoed(text: str) -> None:
    with pytest.raises(sw.ConfigurationError) as caught:
        parse_kek(text)
    assert not text or text not in str(caught.value)


def test_what_a_kill_left_of_a_write_goes_with_the_key(folder: Path) -> None:
    backend = LocalBackend(folder, Sealer.fixed(KEK))
    sealed(folder).with_name(f".{HANDLE}.sealed.0badf00d").write_bytes(sealed(folder).read_bytes())
    backend.destroy(HANDLE)
    assert list(contents(folder)) == ["kek-check"]
