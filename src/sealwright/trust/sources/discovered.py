"""DiscoveredJWKSet: the keys of an issuer whose metadata says where they are (OpenID Connect Discovery, RFC 8414)."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import ConfigurationError, Reason, RejectedError, UnavailableError
from sealwright.jose import strict_json
from sealwright.trust.cache_settings import CacheSettings
from sealwright.trust.failover import Fetcher
from sealwright.trust.flight import malformed
from sealwright.trust.key_snapshot import FetchedKeys
from sealwright.trust.sources.bounded_get import Answer, BoundedGet
from sealwright.trust.sources.jwks_fetcher import JwksFetcher, refused
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.trust.sources.remote import RemoteJWKSet


class DiscoveredJWKSet(RemoteJWKSet):
    """A RemoteJWKSet that is given the issuer in place of the URL; everything else is the same.

    The document must name exactly this issuer, and a ``jwks_uri`` that obeys the rules for key URLs; behind an https
    issuer it must be https as well. It is asked for again when it has grown old, and after a failed fetch of the keys.
    """

    def __init__(self, issuer: str, *mirrors: str, **options: Any) -> None:
        self.issuer = issuer
        openid, _ = metadata_urls(issuer)
        super().__init__(openid, *mirrors, **options)

    def _first_fetcher(self) -> Fetcher:
        return _DiscoveredFetcher(
            self.issuer,
            private=self._private,
            settings=self._settings,
            clock=self._clock,
            algorithms=self._algorithms,
            tls=self._tls,
        )

    def __repr__(self) -> str:
        return f"DiscoveredJWKSet({self.issuer!r})"


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Where OpenID Connect Discovery §4 and RFC 8414 §3.1 put the document. Raises ConfigurationError."""
    parts = urlsplit(issuer)
    if "?" in issuer or "#" in issuer or not parts.netloc:
        raise ConfigurationError(Reason.SETTINGS_INVALID, "an issuer is a URL without a query or a fragment")
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    )


class _DiscoveredFetcher:
    """Two steps within one deadline: where are the keys, then the keys. One caller at a time."""

    def __init__(
        self,
        issuer: str,
        *,
        private: bool,
        settings: CacheSettings,
        clock: Clock = SYSTEM_CLOCK,
        algorithms: Collection[str] | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._issuer, self._private, self._settings, self._clock = issuer, private, settings, clock
        self._algorithms, self._tls = algorithms, tls
        self._documents = [BoundedGet(KeyAddress.parse(url, private=private), tls) for url in metadata_urls(issuer)]
        self._keys: JwksFetcher | None = None
        self._known_until = float("-inf")
        self._closed = False

    def fetch(self, timeout_s: float) -> FetchedKeys:
        until = SYSTEM_CLOCK.monotonic() + timeout_s
        if self._clock.monotonic() >= self._known_until:
            self._discover(until - timeout_s / 2)
        assert self._keys is not None
        try:
            return self._keys.fetch(max(0.001, until - SYSTEM_CLOCK.monotonic()))
        except UnavailableError:
            self._known_until = float("-inf")  # perhaps they have moved
            raise

    def close(self) -> None:
        self._closed = True
        for document in self._documents:
            document.close()
        if (keys := self._keys) is not None:
            keys.close()

    def _discover(self, until: float) -> None:
        """Ask for the document; while it cannot be had, the address that it named last stays in use."""
        try:
            answer = self._document(until)
            address = self._address(answer)
        except UnavailableError:
            if self._keys is None:
                raise
            return
        self._known_until = self._clock.monotonic() + self._settings.discovery_for(answer.fresh_s)
        if self._keys is None or self._keys.address != address:
            self._keys = JwksFetcher(address, algorithms=self._algorithms, tls=self._tls)
        if self._closed:
            self._keys.close()

    def _document(self, until: float) -> Answer:
        for document in self._documents:
            answer = document.get({"Accept": "application/json"}, max(0.001, until - SYSTEM_CLOCK.monotonic()))
            if answer.status == 200:
                return answer
        raise refused(answer)

    def _address(self, answer: Answer) -> KeyAddress:
        try:
            named = strict_json.parse_object(answer.body)
        except RejectedError as error:
            raise malformed("the discovery document is no JSON object") from error
        where = named.get("jwks_uri")
        if named.get("issuer") != self._issuer:
            raise malformed("the discovery document names another issuer")
        if not isinstance(where, str) or (self._issuer.startswith("https:") and not where.startswith("https:")):
            raise malformed("the discovery document names no https address of the keys")
        try:
            return KeyAddress.parse(where, private=self._private)
        except ConfigurationError as error:
            raise malformed("the discovery document names an address of the keys that is refused") from error
