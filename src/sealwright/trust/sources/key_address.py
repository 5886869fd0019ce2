"""KeyAddress: the URL of a key set, and which network addresses it may lead to."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from sealwright.errors import ConfigurationError, Reason
from sealwright.trust.flight import unavailable

IPAddress = IPv4Address | IPv6Address

# Where clouds keep credentials for whoever asks from inside: a key set never lives there.
_REFUSED = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
        "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
        "::/128", "fe80::/10", "ff00::/8", "fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128",
    )
)  # fmt: skip
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215


@dataclass(frozen=True, slots=True)
class KeyAddress:
    """Scheme, host without brackets, port, and the target of the request line.

    ``private`` False keeps it to addresses of the public internet: no private range, and not this machine.
    """

    scheme: str
    host: str
    port: int
    target: str
    url: str
    private: bool = True

    @classmethod
    def parse(cls, url: str, *, private: bool = True) -> KeyAddress:
        """Raises ConfigurationError ``settings.invalid``: https, or http to a loopback host, and nothing hidden."""
        try:
            parts = parse_url(url)
        except LocationParseError as error:
            raise _wrong("the key URL is not a URL") from error
        if parts.scheme not in ("https", "http") or not parts.host:
            raise _wrong("the key URL must begin with https:// and name a host")
        if parts.auth or parts.fragment:
            raise _wrong("the key URL must not contain a user name or a fragment")
        host = parts.host.strip("[]")
        if parts.scheme == "http" and not is_loopback(host):
            raise _wrong("the key URL must be https; http is for loopback hosts only")
        literal = _literal(host)
        if literal is not None and _is_refused(literal):
            raise _wrong("the key URL leads to a link-local or metadata address")
        if not private and (parts.scheme == "http" or (literal is not None and not _embedded(literal).is_global)):
            raise _wrong("the key URL leads to a private address, which is not allowed for it")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(parts.scheme, host, port, parts.request_uri, url, private)

    def check_resolved(self, resolved: str) -> None:
        """Raises UnavailableError for an address that this host name must not lead to."""
        address = ip_address(resolved.split("%", maxsplit=1)[0])
        if _is_refused(address):
            raise unavailable("the key source resolves to an address that is refused")
        if not self.private and not _embedded(address).is_global:
            raise unavailable("the key source resolves to a private address, which is not allowed for it")
        if self.scheme == "http" and not _embedded(address).is_loopback:
            raise unavailable("the key source resolves to an address outside of this machine")


def is_loopback(host: str) -> bool:
    address = _literal(host)
    return host == "localhost" if address is None else address.is_loopback


def _literal(host: str) -> IPAddress | None:
    try:
        return ip_address(host.split("%", maxsplit=1)[0])
    except ValueError:
        return None


def _is_refused(address: IPAddress) -> bool:
    seen = _embedded(address)
    return any(seen in network for network in _REFUSED if network.version == seen.version)


def _embedded(address: IPAddress) -> IPAddress:
    """The IPv4 address inside of an IPv6 one that only wraps it."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
