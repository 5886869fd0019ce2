"""Strict, unpadded, canonical base64url (RFC 7515 §2, RFC 4648 §3.5)."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

from sealwright.errors import Reason, RejectedError


def encode(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def encode_text(data: bytes) -> str:
    return encode(data).decode("ascii")


def decode(segment: bytes) -> bytes:
    """Bytes of a segment. Raises RejectedError ``token.encoding`` for anything but the one canonical form."""
    try:
        data = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        data = None
    # The library skips foreign characters and ignores trailing bits: only a round trip proves the text canonical.
    if data is None or encode(data) != segment:
        raise RejectedError(Reason.TOKEN_ENCODING, "a segment is not canonical base64url")
    return data


def decode_text(text: str) -> bytes:
    try:
        return decode(text.encode("ascii"))
    except UnicodeEncodeError:
        raise RejectedError(Reason.TOKEN_ENCODING, "a segment is not canonical base64url") from None
