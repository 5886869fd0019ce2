"""The path of a request in the only form in which it may be compared, or no path at all. Pure.

Servers differ about encoded slashes, dots, double slashes, parameters, backslashes, letters that look alike and much
more. A path that any of them could read as another one is refused, so a rule for a path holds at every server.
"""

from __future__ import annotations

import re
import unicodedata

from sealwright.errors import Reason, RejectedError

MAXIMUM_PATH_CHARACTERS = 8 * 1024
MAXIMUM_SEGMENTS = 64
_RAW = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})*+)+")
_ENCODED = re.compile(r"((?:%[0-9A-Fa-f]{2})+)")
_TELLING = frozenset('/\\%;?#"<>|^`{}')  # what somebody could take for the end of a segment, or decode once more
_METHOD = re.compile(r"[A-Z][A-Z-]{0,19}")


def segments_of(target: str) -> tuple[str, ...]:
    """The decoded segments of a request target's path; its query is left out, and so is a slash at its end.

    Raises RejectedError ``route.malformed``.
    """
    raw = target.split("?", 1)[0]
    if len(raw) > MAXIMUM_PATH_CHARACTERS or _RAW.fullmatch(raw) is None:
        raise _malformed("the path of the request is not a plain one")
    segments = tuple(_decoded(segment) for segment in raw.removesuffix("/").split("/")[1:])
    if len(segments) > MAXIMUM_SEGMENTS or not all(map(_plain, segments)):
        raise _malformed("the path of the request could be read in more than one way")
    return segments


def check_method(method: str) -> None:
    """Raises RejectedError ``route.malformed``."""
    if _METHOD.fullmatch(method) is None:
        raise _malformed("the method of the request is not one in upper case")


def _decoded(segment: str) -> str:
    """Once, as UTF-8."""
    if "%" not in segment:
        return segment
    octets = _ENCODED.split(segment)
    try:
        return "".join(bytes.fromhex(part.replace("%", "")).decode() if part[:1] == "%" else part for part in octets)
    except UnicodeDecodeError:
        raise _malformed("the path of the request is not UTF-8") from None


def _plain(segment: str) -> bool:
    """No empty, dotted or padded segment, and no character that another reader maps to a different one."""
    return (
        bool(segment)
        and segment == segment.strip(" ").rstrip(".")
        and segment.isprintable()
        and _TELLING.isdisjoint(segment)
        and (segment.isascii() or unicodedata.normalize("NFKC", segment) == segment)
    )


def _malformed(message: str) -> RejectedError:
    return RejectedError(Reason.ROUTE_MALFORMED, message)
