"""TrustRoot: the pinned keys that statements and security events are verified with, from a file of the operator's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.jose import strict_json
from sealwright.jose.algorithms import ASYMMETRIC
from sealwright.jose.jwk_set import JWKSet
from sealwright.jose.verification import verify_signature

_MAXIMUM_BYTES = 1024 * 1024


class TrustRoot:
    """Public keys that came another way than what they sign. Several of them while the root is exchanged.

    A root from a file reads it again when it has changed, so a new root key needs no restart; nothing that arrives over
    the network can change it. Raises ConfigurationError ``settings.invalid`` for a file without a usable key.
    """

    def __init__(self, keys: JWKSet) -> None:
        self._path: Path | None = None
        self._mark: tuple[int, ...] = ()
        self._keys = _usable(keys)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """A JWK Set, such as that of ``/.well-known/trust-root.jwks.json``, kept by the operator."""
        mark, keys = _read(path)
        root = cls(keys)
        root._path, root._mark = path, mark
        return root

    def claims_of(self, token: str | bytes, typ: str) -> dict[str, Any]:
        """The claims that a root key signed, as a token of exactly this type.

        Reads the file if it has changed, so it is for threads that may wait. Raises RejectedError, or UnavailableError
        ``source.unavailable`` while the file cannot be used: what was pinned before may be what had to go.
        """
        self._renew()
        jws = verify_signature(token, self._keys)
        if jws.header.type != typ:
            raise RejectedError(Reason.HEADER_TYPE, f'the statement is not of type "{typ}"')
        return jws.json()

    def _renew(self) -> None:
        if self._path is None:
            return
        try:
            if _mark(self._path) != self._mark:
                self._mark, keys = _read(self._path)
                self._keys = _usable(keys)
        except (OSError, ConfigurationError) as error:
            self._mark = ()
            raise UnavailableError(Reason.SOURCE_UNAVAILABLE, "the pinned trust root cannot be read") from error


def _usable(keys: JWKSet) -> JWKSet:
    bound = keys.bound_to(ASYMMETRIC)
    if not len(bound):
        raise ConfigurationError(Reason.SETTINGS_INVALID, "the trust root has no usable public key")
    return bound


def _read(path: Path) -> tuple[tuple[int, ...], JWKSet]:
    try:
        mark = _mark(path)
        with path.open("rb") as file:
            text = file.read(_MAXIMUM_BYTES + 1)
        return mark, JWKSet.from_dict(strict_json.parse_object(text[:_MAXIMUM_BYTES]))
    except (OSError, RejectedError) as error:
        message = "the file of the trust root must be a readable JWK Set of public keys"
        raise ConfigurationError(Reason.SETTINGS_INVALID, message, detail=str(path)) from error


def _mark(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size
