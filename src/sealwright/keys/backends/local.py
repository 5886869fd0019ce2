"""Private keys as files, each sealed with AES-256-GCM under one key-encryption key (KEK)."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from sealwright.errors import BackendError, ConfigurationError, Reason, RejectedError
from sealwright.jose import strict_json
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.jose.jwk import PrivateJWK, PublicJWK
from sealwright.keys.backend import BackendSignature
from sealwright.keys.sealing import Sealer, SealError

_CHECK_NAME, _SEALED_SUFFIX = "kek-check", ".sealed"
_CHECK_TEXT = b"sealwright key-encryption key"


class LocalBackend:
    """A KeyBackend in one folder. A KEK that is not the folder's own is refused before anything is written.

    Raises ConfigurationError ``settings.kek_wrong`` or ``settings.folder_unwritable`` when it is made.
    """

    name = "local"
    algorithms = ASYMMETRIC

    def __init__(self, folder: Path, sealer: Sealer) -> None:
        self._folder = folder
        self._sealer = sealer
        self._open: dict[str, PrivateJWK] = {}  # decrypted once; dropped when destroyed
        try:
            self._check_kek()
        except OSError as error:
            message = f"the key folder {folder} cannot be used: check its owner, its mode and the disk"
            raise ConfigurationError(Reason.SETTINGS_FOLDER_UNWRITABLE, message) from error

    def generate(self, handle: str, algorithm: str) -> PublicJWK:
        return self.find(handle) or self.import_private(handle, PrivateJWK.generate(algorithm))

    def import_private(self, handle: str, key: PrivateJWK) -> PublicJWK:
        sealed = self._sealer.seal(strict_json.encode_object(key.export_private_dict()), handle)
        with _translated("store"):
            _write_whole(self._path(handle), sealed)
        self._open[handle] = key
        return key.public

    def find(self, handle: str) -> PublicJWK | None:
        key = self._load(handle)
        return key.public if key else None

    def sign(self, handle: str, signing_input: bytes) -> BackendSignature:
        key = self._load(handle)
        if key is None:
            raise BackendError(Reason.BACKEND_KEY_MISSING, "the key backend does not have this key")
        return BackendSignature(key.sign(signing_input))

    def disable(self, handle: str) -> None:
        """A file has no switch; the state in the record is what stops a retired key from signing."""
        self._open.pop(handle, None)

    def enable(self, handle: str) -> None:
        pass

    def destroy(self, handle: str) -> None:
        self._open.pop(handle, None)
        path = self._path(handle)
        with _translated("destroy"):
            for part in self._folder.glob(f".{path.name}.*"):  # what a kill left of a write is the key as well
                part.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            _sync_folder(self._folder)

    def handles(self) -> Iterable[str]:
        with _translated("list"):
            return [path.name.removesuffix(_SEALED_SUFFIX) for path in self._folder.glob(f"[!.]*{_SEALED_SUFFIX}")]

    def adopt(self, handle: str, reference: str, algorithm: str) -> PublicJWK:  # noqa: ARG002
        """Raises BackendError ``backend.unsupported``: a key that is a file elsewhere is imported, not adopted."""
        raise BackendError(Reason.BACKEND_UNSUPPORTED, "keys from files are imported: keys import FILE")

    def reseal(self) -> int:
        """Seal under the newest KEK what an older one sealed; how many files that were. Safe to kill and to repeat."""
        resealed = 0
        for path in [self._folder / _CHECK_NAME, *self._folder.glob(f"[!.]*{_SEALED_SUFFIX}")]:
            bound_to = path.name.removesuffix(_SEALED_SUFFIX)
            with _translated("seal"), contextlib.suppress(FileNotFoundError):  # destroyed in the meantime
                sealed = path.read_bytes()
                if not self._sealer.is_current(sealed, bound_to):
                    _write_whole(path, self._sealer.seal(self._sealer.unseal(sealed, bound_to), bound_to))
                    resealed += 1
        return resealed

    def close(self) -> None:
        self._open.clear()

    def _load(self, handle: str) -> PrivateJWK | None:
        key = self._open.get(handle)
        if key is None:
            with _translated("read"):
                path = self._path(handle)
                if not path.exists():
                    return None
                key = PrivateJWK.from_dict(strict_json.parse_object(self._sealer.unseal(path.read_bytes(), handle)))
            self._open[handle] = key
        return key

    def _check_kek(self) -> None:
        check = self._folder / _CHECK_NAME
        if check.exists():
            with contextlib.suppress(SealError):
                if self._sealer.unseal(check.read_bytes(), _CHECK_NAME) == _CHECK_TEXT:
                    return
            raise _kek_wrong(self._folder)
        if self._folder.exists() and any(self._folder.glob(f"*{_SEALED_SUFFIX}")):
            raise _kek_wrong(self._folder)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_whole(check, self._sealer.seal(_CHECK_TEXT, _CHECK_NAME))

    def _path(self, handle: str) -> Path:
        if not handle.isalnum():  # handles are ours; this keeps a corrupt record inside of the folder
            raise BackendError(Reason.BACKEND_FAILED, "the key's handle is malformed")
        return self._folder / f"{handle}{_SEALED_SUFFIX}"


@contextlib.contextmanager
def _translated(verb: str) -> Iterator[None]:
    try:
        yield
    except (OSError, SealError, RejectedError) as error:
        message = f"the key backend could not {verb} the key"
        raise BackendError(Reason.BACKEND_FAILED, message, detail=type(error).__name__) from error


def _write_whole(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """A rename or an unlink is on disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _kek_wrong(folder: Path) -> ConfigurationError:
    return ConfigurationError(
        Reason.SETTINGS_KEK_WRONG,
        f"the key-encryption key is not the one that the keys in {folder} were stored with: "
        "set SEALWRIGHT_KEK or SEALWRIGHT_KEK_FILE to the right one. Nothing was changed",
    )
