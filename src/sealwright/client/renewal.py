"""The credential of a client, renewed ahead of its end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sealwright.clock import Clock
from sealwright.errors import (
    SealwrightError,
)
from sealwright.jose import base64url, strict_json


class RenewedCredential:
    """The credential of a KeyServiceClient, renewed in the second half of its life.

    ``read`` and ``write`` keep the token, in a file or wherever; ``renew`` asks the service for the next one. A
    renewal that is refused or fails changes nothing: the credential is good until it expires.
    """

    def __init__(
        self, read: Callable[[], str], write: Callable[[str], None], renew: Callable[[str], str], clock: Clock
    ) -> None:
        self._read = read
        self._write = write
        self._renew = renew
        self._clock = clock
        self._asked = ""

    def __call__(self) -> str:
        token = self._read()
        issued, expires = _life(token)
        if (issued + expires) / 2 <= self._clock.now() < expires and token != self._asked:
            self._asked = token  # once for each: a service that refuses is not asked for every call
            with suppress(SealwrightError):
                renewed = self._renew(token)
                self._write(renewed)
                return renewed
        return token


def _life(token: str) -> tuple[float, float]:
    """When a token of our own was issued and expires; nothing is decided by it but when to renew."""
    with suppress(SealwrightError, ValueError, TypeError):
        claims = strict_json.parse_object(base64url.decode_text(token.split(".")[1] if "." in token else ""))
        return float(claims["iat"]), float(claims["exp"])
    return 0.0, 0.0
