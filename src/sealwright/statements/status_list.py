"""Status lists: a few bits for each token, compressed and signed (draft-ietf-oauth-status-list-21). Pure.

A token names its place by ``status: {status_list: {idx, uri}}``; the list is a JWT of type ``statuslist+jwt`` whose
"sub" is that uri.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sealwright.errors import Reason, RejectedError
from sealwright.jose import base64url

TYP = "statuslist+jwt"
MEDIA_TYPE = f"application/{TYP}"
VALID, INVALID, SUSPENDED = 0, 1, 2
MAXIMUM_INFLATED_BYTES = 8 * 1024 * 1024
LARGEST_INDEX = 2**53 - 1
_BITS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a token says that its status is."""

    uri: str
    index: int


@dataclass(frozen=True, slots=True)
class StatusList:
    """So many bits for each index, those of the smallest index in the lowest bits of the first byte."""

    bits: int
    octets: bytes = field(repr=False)

    def __len__(self) -> int:
        return len(self.octets) * 8 // self.bits

    def status(self, index: int) -> int:
        """Raises RejectedError ``claims.malformed`` for an index that the list does not have."""
        if not 0 <= index < len(self):
            raise RejectedError(Reason.CLAIMS_MALFORMED, "the token's index lies outside of its status list")
        octet, place = divmod(index, 8 // self.bits)
        return self.octets[octet] >> place * self.bits & (1 << self.bits) - 1


@dataclass(frozen=True, slots=True)
class Statement:
    """What a list says. Times in seconds since the epoch, ``ttl_s`` is how long it may be kept."""

    uri: str
    issued_at: float
    expires_at: float | None
    ttl_s: float | None
    statuses: StatusList


def pack(changed: Mapping[int, int], *, size: int, bits: int) -> StatusList:
    """A list of ``size`` valid tokens but for the ``changed`` ones; ``size`` is a multiple of 8."""
    octets = bytearray(size * bits // 8)
    for index, status in changed.items():
        octet, place = divmod(index, 8 // bits)
        octets[octet] |= status << place * bits
    return StatusList(bits, bytes(octets))


def encode(statuses: StatusList) -> dict[str, Any]:
    """The member ``status_list`` of a list."""
    return {"bits": statuses.bits, "lst": base64url.encode_text(zlib.compress(statuses.octets, 9))}


def decode(member: Any, *, maximum_bytes: int = MAXIMUM_INFLATED_BYTES) -> StatusList:
    """Raises RejectedError ``statement.malformed``, also where it would inflate to more than ``maximum_bytes``."""
    if not isinstance(member, dict) or member.get("bits") not in _BITS or isinstance(member["bits"], bool | float):
        raise _malformed("a status list has 1, 2, 4 or 8 bits for each token")
    if not isinstance(member.get("lst"), str):
        raise _malformed('a status list has a member "lst"')
    return StatusList(member["bits"], _inflate(member["lst"], maximum_bytes))


def statement_claims(uri: str, statuses: StatusList, *, now: float, lifetime_s: float, ttl_s: float) -> dict[str, Any]:
    """The claims of the list that is published at ``uri``."""
    times = {"iat": int(now), "exp": int(now + lifetime_s), "ttl": int(ttl_s)}
    return {"sub": uri, **times, "status_list": encode(statuses)}


def parse_statement(claims: Mapping[str, Any], *, maximum_bytes: int = MAXIMUM_INFLATED_BYTES) -> Statement:
    """From the claims of a verified list. Raises RejectedError ``statement.malformed``."""
    uri, issued, expires, ttl_s = (claims.get(name) for name in ("sub", "iat", "exp", "ttl"))
    if not isinstance(uri, str) or issued is None or not _is_time(issued):
        raise _malformed('a status list has a "sub" and an "iat"')
    if not all(value is None or (_is_time(value) and value > 0) for value in (expires, ttl_s)):
        raise _malformed('"exp" and "ttl" of a status list are positive numbers')
    return Statement(uri, issued, expires, ttl_s, decode(claims.get("status_list"), maximum_bytes=maximum_bytes))


def reference_claim(reference: Reference) -> dict[str, Any]:
    """The claim ``status`` of a token."""
    return {"status_list": {"idx": reference.index, "uri": reference.uri}}


def parse_reference(claims: Mapping[str, Any]) -> Reference | None:
    """Where the status of a token is; None when it names no list. Raises RejectedError ``claims.wrong_type``."""
    status = claims.get("status")
    if status is None:
        return None
    if not isinstance(status, dict):
        raise _wrong_type()
    if "status_list" not in status:
        return None
    named = status["status_list"]
    if not isinstance(named, dict) or not isinstance(named.get("uri"), str) or type(named.get("idx")) is not int:
        raise _wrong_type()
    if not 0 <= named["idx"] <= LARGEST_INDEX:
        raise _wrong_type()
    return Reference(named["uri"], named["idx"])


def _inflate(text: str, maximum_bytes: int) -> bytes:
    try:
        unpacking = zlib.decompressobj()
        octets = unpacking.decompress(base64url.decode_text(text), maximum_bytes + 1)
    except (RejectedError, zlib.error) as error:
        raise _malformed('"lst" of a status list is not compressed bytes in base64url') from error
    if len(octets) > maximum_bytes:
        raise _malformed(f"a status list may have {maximum_bytes} bytes at most")
    if not unpacking.eof or unpacking.unused_data or not octets:
        raise _malformed('"lst" of a status list is cut short, empty or followed by something else')
    return octets


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_INDEX


def _malformed(message: str) -> RejectedError:
    return RejectedError(Reason.STATEMENT_MALFORMED, message)


def _wrong_type() -> RejectedError:
    return RejectedError(Reason.CLAIMS_WRONG_TYPE, 'the claim "status" names no index of a list and its uri')
