"""The protected header: alg, kid, typ, cty, crit and b64 (RFC 7515 §4, RFC 7797).

"jwk", "jku", "x5u" and "x5c" are carried, and never choose a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url, strict_json

MAXIMUM_HEADER_BYTES = 16 * 1024
# RFC 7515 §4.1: names that "crit" must not list.
_REGISTERED = frozenset(["alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit"])
UNDERSTOOD = frozenset(["b64"])
_TEXTS = ("alg", "kid", "typ", "cty")
_REMEMBERED = 256  # headers: an issuer's tokens repeat theirs, so each is read once; 4 MiB at most


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed protected header. Nothing in it is to be believed before the signature is verified.

    ``b64`` False means that the payload is signed as it is (RFC 7797).
    """

    algorithm: str
    key_id: str | None
    type: str | None
    content_type: str | None
    b64: bool
    segment: bytes = field(repr=False)

    @property
    def members(self) -> dict[str, Any]:
        """All members, in a dict of the caller's own."""
        return strict_json.parse_object(base64url.decode(self.segment))

    @classmethod
    def parse(cls, segment: bytes) -> Header:
        """Read the encoded header. Raises RejectedError ``header.*``, ``json.*`` or ``token.encoding``."""
        return remembered(segment)

    def is_type(self, expected: str) -> bool:
        return self.type is not None and _media_type(self.type) == _media_type(expected)

    def check_type(self, expected: str) -> None:
        """RFC 8725 §3.11; a type without "/" compares as if it began with "application/"."""
        if not self.is_type(expected):
            raise RejectedError(Reason.HEADER_TYPE, f'the token is not of type "{expected}"')


@lru_cache(maxsize=_REMEMBERED)
def encode(algorithm: str, key_id: str | None, typ: str | None, b64: bool = True) -> bytes:
    """The encoded header segment that a signer writes."""
    members = {"alg": algorithm, "typ": typ, "kid": key_id}
    extension = {} if b64 else {"b64": False, "crit": ["b64"]}  # RFC 7797 §6
    return base64url.encode(strict_json.encode_object({k: v for k, v in members.items() if v is not None} | extension))


def _check_critical(members: Mapping[str, Any]) -> None:
    """RFC 7515 §4.1.11: what is marked critical is understood or refused; a malformed list is refused."""
    if "crit" in members:
        listed = members["crit"]
        if not isinstance(listed, list) or not listed or not all(isinstance(name, str) for name in listed):
            raise RejectedError(Reason.HEADER_CRITICAL, 'the header member "crit" is not a list of names')
        if len(set(listed)) != len(listed) or any(n in _REGISTERED or n not in members for n in listed):
            raise RejectedError(Reason.HEADER_CRITICAL, 'the header member "crit" lists a name it must not')
        if not set(listed) <= UNDERSTOOD:
            raise RejectedError(Reason.HEADER_CRITICAL, "the token needs an extension that is not understood here")
    elif "b64" in members:  # RFC 7797 §6: b64 without crit would be read differently by others
        raise RejectedError(Reason.HEADER_CRITICAL, 'the header member "b64" must be listed in "crit"')
    if not isinstance(members.get("b64", True), bool):
        raise RejectedError(Reason.HEADER_CRITICAL, 'the header member "b64" is neither true nor false')


def _parse(segment: bytes) -> Header:
    if len(segment) > MAXIMUM_HEADER_BYTES:
        raise RejectedError(Reason.HEADER_TOO_LARGE, f"the header is larger than {MAXIMUM_HEADER_BYTES} bytes")
    members = strict_json.parse_object(base64url.decode(segment))
    for name in _TEXTS:
        if not isinstance(members.get(name, ""), str):
            raise RejectedError(Reason.HEADER_MALFORMED, f'the header member "{name}" is not text')
    if not members.get("alg"):
        raise RejectedError(Reason.HEADER_MALFORMED, 'the header has no "alg"')
    _check_critical(members)
    algorithm, key_id, typ, content_type = (members.get(name) for name in _TEXTS)
    return Header(str(algorithm), key_id, typ, content_type, members.get("b64", True), segment)


remembered = lru_cache(maxsize=_REMEMBERED)(_parse)


def _media_type(value: str) -> str:
    value = value.lower()
    return value if "/" in value else f"application/{value}"
