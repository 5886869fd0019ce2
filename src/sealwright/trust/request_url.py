"""The URL of a request in the one form in which two of them can be compared (RFC 9449 §4.3, RFC 3986 §6.2). Pure."""

from __future__ import annotations

import re

from sealwright.errors import Reason, RejectedError

MAXIMUM_URL_CHARACTERS = 8 * 1024
_PATH = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*+"
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9\-._~!$&'()*+,;=]++)(?::(?P<port>[0-9]{0,5}))?"
    rf"(?P<path>(?:/{_PATH})?)(?:\?[!-~]*)?(?:#[!-~]*)?",
    re.IGNORECASE,
)
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def normalized(url: str) -> str:
    """Scheme, host, port and path, normalized by syntax and scheme; query and fragment are left out.

    Raises RejectedError ``binding.proof`` for anything but an http or https URL; one with a user is none here.
    """
    found = _URL.fullmatch(url) if len(url) <= MAXIMUM_URL_CHARACTERS else None
    if found is None:
        raise RejectedError(Reason.BINDING_PROOF, "a URL of the request or its proof is not one that can be compared")
    scheme, host = found["scheme"].lower(), found["host"].lower()
    port = int(found["port"] or _DEFAULT_PORTS[scheme])
    shown = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{shown}{_without_dots(_ENCODED.sub(_decoded, found['path']))}"


def _decoded(found: re.Match[str]) -> str:
    """RFC 3986 §6.2.2.1 and §6.2.2.2: what need not be encoded is not, and the rest is in upper case."""
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()


def _without_dots(path: str) -> str:
    """RFC 3986 §5.2.4, for a path that is absolute or empty."""
    kept: list[str] = []
    segments = path.split("/")[1:] or [""]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
