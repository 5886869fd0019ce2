"""The data folder of one machine: one owner at a time, private files, whole writes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from sealwright.errors import ConfigurationError, Reason

_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths of one data folder; reading them needs no lock."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "sealwright.db"

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def kek(self) -> Path:
        return self.home / "kek.key"

    @property
    def previous_kek(self) -> Path:
        """There only while the key-encryption key is being rotated."""
        return self.home / "kek.previous"

    @property
    def operator_credential(self) -> Path:
        return self.home / "operator.token"

    @property
    def log(self) -> Path:
        return self.home / "sealwright.log"

    @property
    def service_note(self) -> Path:
        return self.home / "service-url"

    @property
    def certificate_note(self) -> Path:
        return self.home / "service-certificate"

    @property
    def public_url(self) -> Path:
        return self.home / "public-url"

    def running_service(self) -> str | None:
        """The URL of the service that owns this folder, as it noted it; None when none did."""
        return _read_line(self.service_note)

    def noted_certificate(self) -> str | None:
        """SHA-256 of the certificate that the running service shows; None without TLS."""
        return _read_line(self.certificate_note)

    def noted_public_url(self) -> str | None:
        """The public URL that the last service of this folder ran with; the base of every "iss"."""
        return _read_line(self.public_url)

    def open_log(self) -> TextIO:
        """The log file, to append to, for its owner only. Raises ConfigurationError ``settings.folder_unwritable``."""
        try:
            descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE_FILE)
        except OSError as error:
            raise unwritable(self.home) from error
        return os.fdopen(descriptor, "a", encoding="utf-8")

    def write_private(self, path: Path, text: str) -> None:
        """Replace a file whole, for its owner only. Raises ConfigurationError ``settings.folder_unwritable``."""
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise unwritable(self.home) from error


class OwnedFolder:
    """The data folder while this process is its one owner. Raises ConfigurationError ``settings.folder_*``."""

    def __init__(self, home: Path, *, create: bool = True) -> None:
        self.folder = DataFolder(home)
        if not create and not home.is_dir():
            raise _absent(home)
        try:
            home.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            self._lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
        except OSError as error:
            raise unwritable(home) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise _in_use(self.folder) from error

    def note_certificate(self, fingerprint: str) -> None:
        """Tell the command line which certificate the service shows."""
        self.folder.write_private(self.folder.certificate_note, fingerprint + "\n")

    def note_service(self, url: str, public_url: str) -> None:
        """Tell the command line where the service listens, and under which name it signs."""
        self.folder.write_private(self.folder.public_url, public_url + "\n")
        self.folder.write_private(self.folder.service_note, url + "\n")

    def close(self) -> None:
        """Forget the notes and let go of the lock; the kernel does the latter too when we are killed."""
        with contextlib.suppress(OSError):
            self.folder.service_note.unlink(missing_ok=True)
            self.folder.certificate_note.unlink(missing_ok=True)
        os.close(self._lock)

    def __enter__(self) -> OwnedFolder:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def unwritable(home: Path) -> ConfigurationError:
    return ConfigurationError(
        Reason.SETTINGS_FOLDER_UNWRITABLE,
        f"the data folder {home} cannot be written: check its owner, its mode and the disk, or set SEALWRIGHT_HOME",
    )


def _read_line(path: Path) -> str | None:
    try:
        return path.read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _absent(home: Path) -> ConfigurationError:
    message = f"there is no data folder at {home}: start sealwright up, or name the right folder with --home"
    return ConfigurationError(Reason.SETTINGS_FOLDER_ABSENT, message)


def _in_use(folder: DataFolder) -> ConfigurationError:
    where = folder.running_service()
    hint = f"the service at {where} owns it" if where else "another sealwright process owns it"
    return ConfigurationError(
        Reason.SETTINGS_FOLDER_IN_USE,
        f"the data folder {folder.home} is in use: {hint}. Stop it first, or set SEALWRIGHT_HOME to another folder",
    )
