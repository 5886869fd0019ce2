"""TrustedProxies: the certificate that a caller showed to a proxy in front of us, as the proxy's header tells it.

RFC 9440, Envoy's x-forwarded-client-cert, and URL-encoded PEM as nginx and AWS load balancers write it. Pure.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_to_bytes

from sealwright.errors import ConfigurationError, Reason, RejectedError
from sealwright.jose import base64url

Form = Literal["rfc9440", "xfcc", "pem"]
UNIX = "unix"  # the peer at a unix socket, which has no address
MAXIMUM_HEADER_CHARACTERS = 64 * 1024
_USUAL_NAMES: Mapping[str, str] = {"rfc9440": "client-cert", "xfcc": "x-forwarded-client-cert"}
_NAME = re.compile(r"[a-z0-9-]+")
_BASE64 = re.compile(r":([A-Za-z0-9+/]++={0,2}):")
_HASH = re.compile(r"[0-9A-Fa-f]{64}")
_PAIR = re.compile(r"""([A-Za-z]++)=("(?:[^"\\]|\\.)*+"|[^",;]*+)([;,]?)""", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies whose word about the caller's certificate counts, and the one header in which they give it.

    ``networks`` are addresses or CIDRs, and "unix" for whoever can reach our unix socket. The proxy has to set or
    remove that header on every request; any other header that looks like it proves nothing. ``header`` may be left
    out unless ``form`` is "pem". Raises ConfigurationError ``settings.invalid``.
    """

    networks: tuple[str, ...]
    form: Form = "rfc9440"
    header: str = ""
    _networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        name = (self.header or _USUAL_NAMES.get(self.form, "")).lower()
        if self.form not in _PARSERS or _NAME.fullmatch(name) is None or not self.networks:
            raise _wrong("trusted proxies need addresses, a known form of header, and its name for URL-encoded PEM")
        try:
            networks = tuple(ipaddress.ip_network(text) for text in self.networks if text != UNIX)
        except ValueError:
            raise _wrong("the address of a trusted proxy is neither an address nor a network") from None
        object.__setattr__(self, "header", name)
        object.__setattr__(self, "_networks", networks)

    def include(self, peer: str | None) -> bool:
        """Whether the other end of the connection is one of the proxies; None is an end that nobody knows."""
        if peer == UNIX:
            return UNIX in self.networks
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)

    def thumbprint(self, headers: Iterable[tuple[str, str]]) -> str | None:
        """That of the certificate in the headers of one of the proxies; None where the caller showed none.

        Raises RejectedError ``binding.proof`` for a header that is there twice or cannot be read.
        """
        values = [value for name, value in headers if name.lower() == self.header]
        if len(values) > 1:
            raise RejectedError(Reason.BINDING_PROOF, "the request has the certificate's header more than once")
        if not values or not values[0].strip(" "):
            return None
        return parse_header(values[0].strip(" "), self.form)


def parse_header(value: str, form: Form) -> str:
    """The thumbprint of the certificate in a header. Raises RejectedError ``binding.proof``."""
    try:
        if len(value) <= MAXIMUM_HEADER_CHARACTERS and value.isascii():
            return _PARSERS[form](value)
    except (RejectedError, ValueError) as error:
        raise _malformed() from error
    raise _malformed()


def _rfc9440(value: str) -> str:
    found = _BASE64.fullmatch(value)
    if found is None:
        raise ValueError("not one byte sequence")
    der = base64.b64decode(found[1], validate=True)
    if der.startswith(b"-----"):
        raise ValueError("not DER")
    from sealwright.jose.certificates import certificate_thumbprint  # slow to import, and few callers show any

    return certificate_thumbprint(der)


def _pem(value: str) -> str:
    pem = unquote_to_bytes(value).strip()  # AWS leaves +, = and / as they are, and no sender means a space by +
    if not pem.startswith(b"-----BEGIN CERTIFICATE-----") or pem.count(b"-----BEGIN ") != 1:
        raise ValueError("not one certificate")
    from sealwright.jose.certificates import certificate_thumbprint  # slow to import, and few callers show any

    return certificate_thumbprint(pem)


def _xfcc(value: str) -> str:
    """The element of the nearest proxy is the last; its hash is hexadecimal, and the certificate may be there too."""
    nearest = _elements(value)[-1]
    known: set[str] = set()
    if "hash" in nearest:
        if _HASH.fullmatch(nearest["hash"]) is None:
            raise ValueError("not a SHA-256")
        known.add(base64url.encode_text(binascii.unhexlify(nearest["hash"])))
    if "cert" in nearest:
        known.add(_pem(nearest["cert"]))
    if len(known) != 1:
        raise ValueError("no certificate, or two of them")
    return known.pop()


def _elements(value: str) -> list[dict[str, str]]:
    elements: list[dict[str, str]] = [{}]
    position, separator = 0, ";"
    while separator:
        found = _PAIR.match(value, position)
        if found is None:
            raise ValueError("not a list of pairs")
        name, text, separator = found[1].lower(), found[2], found[3]
        if name in elements[-1] and name in ("hash", "cert"):
            raise ValueError("a certificate twice")
        elements[-1][name] = _ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text
        if separator == ",":
            elements.append({})
        position = found.end()
        while value.startswith(" ", position):
            position += 1
    if position != len(value):
        raise ValueError("something follows the pairs")
    return elements


_PARSERS: Mapping[str, Callable[[str], str]] = {"rfc9440": _rfc9440, "xfcc": _xfcc, "pem": _pem}


def _malformed() -> RejectedError:
    return RejectedError(Reason.BINDING_PROOF, "the header with the caller's certificate cannot be read")


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
