"""FileKeys: keys in a file on this machine, read again when it changes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason, SealwrightError
from sealwright.jose import strict_json
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.secret_jwk import SecretJWK
from sealwright.trust.key_source import SourceStatus, VerificationKey
from sealwright.trust.sources.shared_secret import SharedSecret
from sealwright.trust.sources.static import StaticKeys

LOOK_EVERY_S = 5.0
MAXIMUM_FILE_BYTES = 1024 * 1024
_Keys = StaticKeys | SharedSecret
Reader = Callable[[Mapping[str, Any]], _Keys]


class FileKeys:
    """A KeySource over a file. What ``read`` makes of its JSON counts until the file changes to something usable.

    Raises ConfigurationError ``settings.invalid`` for a file that cannot be used at the start. ``secret`` is one that
    others may not read; nobody else may write either kind.
    """

    def __init__(self, path: Path, read: Reader, *, secret: bool = False, clock: Clock = SYSTEM_CLOCK) -> None:
        self._path, self._make, self._clock = path, read, clock
        self._forbidden = stat.S_IWGRP | stat.S_IWOTH | (stat.S_IRWXO if secret else 0)
        self._last_error: Reason | None = None
        self._looked_at = self._read_at = clock.monotonic()
        self._stamp, self._keys = self._read()

    def find(self, key_id: str | None) -> VerificationKey:
        return self._current().find(key_id)

    async def afind(self, key_id: str | None) -> VerificationKey:
        return self.find(key_id)

    def known(self, key_id: str | None) -> VerificationKey:
        return self.find(key_id)

    def status(self) -> SourceStatus:
        held = self._current()
        unusable = len(held.keys.unusable) if isinstance(held, StaticKeys) else 0
        return SourceStatus(
            age_s=self._clock.monotonic() - self._read_at,
            fresh=self._last_error is None,
            usable=True,
            keys=len(held),
            unusable=unusable,
            last_error=self._last_error,
            next_refresh_s=None,
        )

    def held(self) -> JWKSet:
        """The public keys of the file as it was read last; of secrets there are none."""
        return self._keys.held() if isinstance(self._keys, StaticKeys) else JWKSet()

    def close(self) -> None:
        """There is nothing to release."""

    def _current(self) -> _Keys:
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._look(now)
        return self._keys

    def _look(self, now: float) -> None:
        try:
            if _stamp_of(self._path.stat()) != self._stamp:
                self._stamp, self._keys = self._read()
                self._read_at = now
            self._last_error = None
        except (SealwrightError, OSError):
            self._last_error = Reason.SOURCE_MALFORMED

    def _read(self) -> tuple[tuple[int, ...], _Keys]:
        try:
            found, content = _content(self._path)
        except OSError as error:
            raise _wrong(f"cannot read {self._path}: {error.strerror}") from error
        if found.st_mode & self._forbidden:
            raise _wrong(f"{self._path} is open to others: take their rights to it")
        if not stat.S_ISREG(found.st_mode) or len(content) > MAXIMUM_FILE_BYTES:
            raise _wrong(f"{self._path} is no plain file, or too large")
        try:
            return _stamp_of(found), self._make(strict_json.parse_object(content))
        except SealwrightError as error:
            raise _wrong(f"{self._path}: {error.message}") from error


def _content(path: Path) -> tuple[os.stat_result, bytes]:
    """A pipe must not hold anybody up."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        return os.fstat(file.fileno()), file.read(MAXIMUM_FILE_BYTES + 1)


def public_keys(members: Mapping[str, Any]) -> StaticKeys:
    """A JWK Set with at least one key that can be used."""
    keys = JWKSet.from_dict(members)
    if not len(keys):
        raise _wrong("the set has no key that can be used")
    return StaticKeys(keys)


def spiffe_keys(members: Mapping[str, Any]) -> StaticKeys:
    """The keys for JWT-SVIDs of a SPIFFE bundle (SPIFFE Trust Domain and Bundle §4), or of a plain JWK Set."""
    listed = members.get("keys")
    if not isinstance(listed, list):
        return public_keys(members)
    kept = [one for one in listed if not isinstance(one, dict) or one.get("use") != "x509-svid"]
    plain = [{**one, "use": "sig"} if isinstance(one, dict) and one.get("use") == "jwt-svid" else one for one in kept]
    return public_keys({**members, "keys": plain})


def secrets(members: Mapping[str, Any]) -> SharedSecret:
    """A JWK, or a set of them."""
    listed = members.get("keys", [members])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise _wrong("not a JWK with a secret, nor a set of them")
    return SharedSecret(*(SecretJWK.from_dict(one) for one in listed))


def _stamp_of(found: os.stat_result) -> tuple[int, ...]:
    return found.st_ino, found.st_mtime_ns, found.st_size


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
