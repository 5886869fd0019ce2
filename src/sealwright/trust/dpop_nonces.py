"""DpopNonces: nonces for DPoP proofs that several workers make and know without storing any (RFC 9449 §8, §9)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose import base64url

MINIMUM_SECRET_BYTES = 32
MAXIMUM_SLOT_S = 86_400.0
_PURPOSE = b"sealwright dpop nonce 1\0"
_REGION = re.compile(r"[A-Za-z0-9_-]{0,32}")
_NONCE = re.compile(r"(?P<region>[A-Za-z0-9_-]{0,32})\.(?P<slot>[0-9]{1,12})\.(?P<tag>[A-Za-z0-9_-]{22})", re.ASCII)
_TAG_BYTES = 16


class NonceError(RejectedError):
    """The proof needs ``nonce``: tell the client in a DPoP-Nonce header, and it may try again at once."""

    def __init__(self, nonce: str) -> None:
        super().__init__(Reason.BINDING_NONCE, "the DPoP proof needs a nonce of this server")
        self.nonce = nonce


class DpopNonces:
    """A nonce is ``region.slot.tag``: a time slot of ``slot_s`` seconds, and an HMAC over both with a derived key.

    ``secrets`` are shared by the workers, 32 bytes or more each: the first makes nonces and all of them know theirs, so
    that one can be replaced. A nonce is good in its own slot and the next, and one slot ahead for clocks that differ;
    never in another region, whose store of seen proofs this one does not ask. Raises ConfigurationError
    ``settings.invalid``.
    """

    def __init__(self, secrets: Sequence[bytes], *, region: str = "", slot_s: float = 300.0) -> None:
        if not secrets or any(len(secret) < MINIMUM_SECRET_BYTES for secret in secrets):
            raise _wrong(f"nonces need a secret of {MINIMUM_SECRET_BYTES} bytes or more")
        if not 1 <= slot_s <= MAXIMUM_SLOT_S or _REGION.fullmatch(region) is None:
            raise _wrong("a slot has between a second and a day, and a region 32 letters, digits, - and _ at most")
        self._keys = [hmac.digest(secret, _PURPOSE + region.encode(), hashlib.sha256) for secret in secrets]
        self._region = region
        self._slot_s = slot_s

    def next(self, now: float) -> str:
        """The nonce to hand out at ``now``."""
        slot = int(now // self._slot_s)
        return f"{self._region}.{slot}.{base64url.encode_text(self._tag(self._keys[0], slot))}"

    def check(self, nonce: object, now: float) -> None:
        """Raises NonceError, which has the next nonce, unless ``nonce`` is one that is still good here."""
        if not isinstance(nonce, str) or not self._is_good(nonce, now):
            raise NonceError(self.next(now))

    def _is_good(self, nonce: str, now: float) -> bool:
        found = _NONCE.fullmatch(nonce)
        if found is None or found["region"] != self._region:
            return False
        slot = int(found["slot"])
        if abs(slot - now // self._slot_s) > 1:
            return False
        tag = found["tag"].encode()
        return any(hmac.compare_digest(base64url.encode(self._tag(key, slot)), tag) for key in self._keys)

    def _tag(self, key: bytes, slot: int) -> bytes:
        return hmac.digest(key, b"%d" % slot, hashlib.sha256)[:_TAG_BYTES]

    def __repr__(self) -> str:
        return f"DpopNonces(region={self._region!r})"


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
