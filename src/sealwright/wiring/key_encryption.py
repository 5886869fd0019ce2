"""The key-encryption key (KEK): where it comes from, and how it is rotated while everything goes on."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from sealwright.errors import ConfigurationError, Reason
from sealwright.jose import base64url
from sealwright.keys.sealing import KEK_BYTES, Sealer, parse_kek
from sealwright.settings import ServiceSettings
from sealwright.wiring.data_folder import DataFolder


class KeyEncryption:
    """The KEKs of one data folder, the newest first; the second is there only during a rotation.

    Raises ConfigurationError ``settings.kek_missing`` or ``settings.invalid`` when it is made; nothing is written then.
    """

    def __init__(self, settings: ServiceSettings, folder: DataFolder, *, create: bool = True) -> None:
        self._create = create
        self._given = settings.kek.get_secret_value() if settings.kek else None
        self._file = settings.kek_file
        self._previous = settings.previous_kek_file or folder.previous_kek
        self._folder = folder
        self.sealer = Sealer(self._read)
        self.holders: list[Callable[[], int]] = []  # each seals anew what it holds, and says how much that was

    def rotate(self) -> int:
        """Take a new KEK and seal everything anew; how much that was.

        The old KEK is written down before the new one is, and forgotten when all holders are through: a kill at any
        instant leaves both, and ``finish`` goes on. A KEK from outside of the folder is changed outside: its file
        first, with the old one as SEALWRIGHT_PREVIOUS_KEK_FILE, then this.
        """
        if self._given is None and self._file is None and not self._previous.exists():
            old = self._folder.kek.read_text("ascii").strip()
            self._folder.write_private(self._previous, old + "\n")
            self._folder.write_private(self._folder.kek, _new() + "\n")
        self.sealer.read_again()
        return self.finish()

    def finish(self) -> int:
        """What is left of a rotation; cheap where nothing is."""
        if not self._previous.exists():
            return 0
        resealed = sum(reseal() for reseal in self.holders)
        if self._previous == self._folder.previous_kek:
            self._previous.unlink()
        return resealed

    def _read(self) -> list[bytes]:
        newest = self._given if self._given is not None else _text_of(self._kek_file())
        previous = [_text_of(self._previous)] if self._previous.exists() else []
        return [parse_kek(text) for text in (newest, *previous)]

    def _kek_file(self) -> Path:
        """The file that was named, or the folder's own, which is made at the very first start."""
        path = self._file or self._folder.kek
        if self._file is None and not path.exists():
            if not self._create or self._folder.database.exists() or self._folder.keys.exists():
                raise _missing(path)
            self._folder.write_private(path, _new() + "\n")
        return path


def _new() -> str:
    return base64url.encode_text(secrets.token_bytes(KEK_BYTES))


def _text_of(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _missing(path) from error


def _missing(path: Path) -> ConfigurationError:
    return ConfigurationError(
        Reason.SETTINGS_KEK_MISSING,
        f"the stored keys need their key-encryption key, and it is not at {path}: "
        "restore that file, or set SEALWRIGHT_KEK_FILE or SEALWRIGHT_KEK. Nothing was changed",
    )
