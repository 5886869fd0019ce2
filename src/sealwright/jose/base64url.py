"""Strict, unpadded, canonical base64url (RFC 7515 §2, RFC 4648 §3.5)."""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64

from sealwright.errors import Reason, RejectedError

_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE = _STANDARD[:-2] + b"-_"
_FOREIGN = b"!"  # no base64 has it, so the decoder refuses whatever is translated to it
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_TO_STANDARD = bytes(_STANDARD[_URL_SAFE.index(byte)] if byte in _URL_SAFE else ord(_FOREIGN) for byte in range(256))
_PADDING = (b"", b"===", b"==", b"=")  # by length modulo 4; one character too many never decodes
# By length modulo 4: the last characters whose unused bits are zero. Others would be a second text of the same bytes.
_LAST = (_URL_SAFE, b"", _URL_SAFE[::16], _URL_SAFE[::4])


def encode(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(_TO_URL_SAFE, b"=")


def encode_text(data: bytes) -> str:
    return encode(data).decode("ascii")


def decode(segment: bytes) -> bytes:
    """Bytes of a segment. Raises RejectedError ``token.encoding`` for anything but the one canonical form."""
    over = len(segment) & 3
    standard = segment if segment.isalnum() else segment.translate(_TO_STANDARD)  # most JSON is alphanumeric
    try:
        data = a2b_base64(standard + _PADDING[over], strict_mode=True)
    except Error:
        data = None
    if data is None or (over and segment[-1] not in _LAST[over]):
        raise RejectedError(Reason.TOKEN_ENCODING, "a segment is not canonical base64url")
    return data


def decode_text(text: str) -> bytes:
    try:
        return decode(text.encode("ascii"))
    except UnicodeEncodeError:
        raise RejectedError(Reason.TOKEN_ENCODING, "a segment is not canonical base64url") from None
