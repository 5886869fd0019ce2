"""Origins: where tokens may be sent to, and nowhere else (RFC 6454 §4, RFC 6750 §5.3)."""

from __future__ import annotations

from collections.abc import Collection

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from sealwright.errors import ConfigurationError, Reason
from sealwright.trust.sources.key_address import is_loopback

_PORTS = {"https": 443, "http": 80}
Origin = tuple[str, str, int]  # scheme, host and port


class Origins:
    """Raises ConfigurationError ``settings.invalid`` for one that is not https; http is for loopback hosts."""

    def __init__(self, urls: Collection[str]) -> None:
        if isinstance(urls, str) or not urls:
            raise ConfigurationError(Reason.SETTINGS_INVALID, "say which origins may see the token, as a list")
        self._allowed = frozenset(map(_configured, urls))

    def check(self, url: str) -> None:
        """Raises ConfigurationError ``credential.origin`` for the URL of a request that must not carry the token."""
        try:
            allowed = origin_of(url) in self._allowed
        except ConfigurationError:
            allowed = False
        if not allowed:
            raise ConfigurationError(Reason.CREDENTIAL_ORIGIN, "the token may not be sent to this origin")

    def __repr__(self) -> str:
        return f"Origins({sorted(f'{scheme}://{host}:{port}' for scheme, host, port in self._allowed)})"


def origin_of(url: str) -> Origin:
    """Raises ConfigurationError ``settings.invalid``."""
    if "\\" in url:  # some clients read it as the end of the host, and some as a part of it
        raise _wrong()
    try:
        parts = parse_url(url)
    except LocationParseError as error:
        raise _wrong() from error
    if parts.scheme not in _PORTS or not parts.host:
        raise _wrong()
    return parts.scheme, parts.host, parts.port or _PORTS[parts.scheme]


def _configured(url: str) -> Origin:
    scheme, host, port = origin_of(url)
    if scheme == "http" and not is_loopback(host.strip("[]")):
        raise _wrong()
    return scheme, host, port


def _wrong() -> ConfigurationError:
    message = "an origin is https:// and a host, or http:// on this machine"
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
