"""The protected header: alg, kid, typ and crit (RFC 7515 §4).

"jwk", "jku", "x5u" and "x5c" are carried, and never choose a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url, strict_json

# RFC 7515 §4.1: names that "crit" must not list. Extensions understood here would be listed in UNDERSTOOD.
_REGISTERED = frozenset(["alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit"])
UNDERSTOOD: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed protected header. Nothing in it is to be believed before the signature is verified."""

    algorithm: str
    key_id: str | None
    type: str | None
    members: Mapping[str, Any]

    @classmethod
    def parse(cls, segment: bytes) -> Header:
        """Read the encoded header. Raises RejectedError ``header.*``, ``json.*`` or ``token.encoding``."""
        members = strict_json.parse_object(base64url.decode(segment))
        for name in ("alg", "kid", "typ", "cty"):
            if not isinstance(members.get(name, ""), str):
                raise RejectedError(Reason.HEADER_MALFORMED, f'the header member "{name}" is not text')
        if not members.get("alg"):
            raise RejectedError(Reason.HEADER_MALFORMED, 'the header has no "alg"')
        _check_critical(members)
        return cls(members["alg"], members.get("kid"), members.get("typ"), members)

    def check_type(self, expected: str) -> None:
        """RFC 8725 §3.11; a type without "/" compares as if it began with "application/"."""
        if self.type is None or _media_type(self.type) != _media_type(expected):
            raise RejectedError(Reason.HEADER_TYPE, f'the token is not of type "{expected}"')


def encode(algorithm: str, *, key_id: str | None, typ: str | None) -> bytes:
    """The encoded header segment that a signer writes."""
    members = {"alg": algorithm, "typ": typ, "kid": key_id}
    return base64url.encode(strict_json.encode_object({k: v for k, v in members.items() if v is not None}))


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


def _media_type(value: str) -> str:
    value = value.lower()
    return value if "/" in value else f"application/{value}"
