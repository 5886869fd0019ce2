"""Sealer: secrets at rest, each sealed with AES-256-GCM under the key-encryption key (KEK) and bound to its name."""

from __future__ import annotations

import binascii
import contextlib
import secrets
from collections.abc import Callable, Sequence
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose import base64url

KEK_BYTES = 32
_NONCE_BYTES = 12


class SealError(Exception):
    """What was sealed cannot be opened: another KEK, another name, or not what was written."""


class Sealer:
    """Seals under the first KEK and opens under any of them.

    ``read_keks`` is asked once, and again when nothing opens: while a KEK is being rotated, another process may have
    sealed under one that this process has not seen yet.
    """

    def __init__(self, read_keks: Callable[[], Sequence[bytes]]) -> None:
        self._read_keks = read_keks
        self._ciphers = self._read()

    @classmethod
    def fixed(cls, *keks: bytes) -> Self:
        """With KEKs that do not change, the newest first."""
        return cls(lambda: keks)

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, plain, bound_to.encode())

    def unseal(self, sealed: bytes, bound_to: str) -> bytes:
        """Raises SealError."""
        for again in (False, True):
            for cipher in self.read_again() if again else self._ciphers:
                with contextlib.suppress(SealError):
                    return _opened(cipher, sealed, bound_to)
        raise SealError

    def is_current(self, sealed: bytes, bound_to: str) -> bool:
        """Whether the newest KEK opens it."""
        try:
            _opened(self._ciphers[0], sealed, bound_to)
        except SealError:
            return False
        return True

    def read_again(self) -> list[AESGCM]:
        """Take the KEKs as they are now."""
        self._ciphers = self._read()
        return self._ciphers

    def _read(self) -> list[AESGCM]:
        return [AESGCM(kek) for kek in self._read_keks()]


def parse_kek(text: str) -> bytes:
    """32 bytes, written as base64url or hex. Raises ConfigurationError ``settings.invalid``; never echoes the value."""
    with contextlib.suppress(RejectedError, binascii.Error, ValueError):
        kek = bytes.fromhex(text) if len(text) == 2 * KEK_BYTES else base64url.decode_text(text.rstrip("="))
        if len(kek) == KEK_BYTES:
            return kek
    raise ConfigurationError(
        Reason.SETTINGS_INVALID, f"the key-encryption key must be {KEK_BYTES} bytes, as base64url or hex"
    )


def _opened(cipher: AESGCM, sealed: bytes, bound_to: str) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError) as error:  # ValueError: too short to hold a nonce
        raise SealError from error
