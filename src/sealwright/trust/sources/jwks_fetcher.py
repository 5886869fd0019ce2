"""JwksFetcher: one bounded GET of a JWK Set (RFC 9110 §13 for ETag, RFC 9111 §4.2 for freshness)."""

from __future__ import annotations

import re
import ssl
from http.client import HTTPException
from typing import Any

from urllib3.exceptions import HTTPError

from sealwright.errors import RejectedError, UnavailableError
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.flight import malformed, unavailable
from sealwright.trust.key_snapshot import FetchedKeys
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.trust.sources.key_connection import Checked, KeyConnection

MAXIMUM_BODY_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_MAXIMUM_ETAG_LENGTH = 1024
_MAX_AGE = re.compile(r'(?:^|,)\s*max-age\s*=\s*"?([0-9]{1,9})', re.IGNORECASE)
_HEADERS = {
    "Accept": "application/jwk-set+json, application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "sealwright",
}


class JwksFetcher:
    """Fetches from one address, within ``timeout_s`` for everything. Raises UnavailableError ``source.*``."""

    def __init__(self, address: KeyAddress, *, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
        self._address, self._timeout_s, self._tls = address, timeout_s, tls
        self._closed = False
        self._http: Checked | None = None

    def fetch(self, etag: str | None) -> FetchedKeys:
        http: Checked | None = None
        try:
            with KeyConnection(self._address, self._timeout_s, self._trusted()) as http:
                self._http = http
                return self._exchange(http, etag)
        except (UnavailableError, HTTPError, HTTPException, OSError, UnicodeError) as error:
            if http is not None and http.was_cut:
                raise unavailable("the key source did not answer in time") from error
            if isinstance(error, UnavailableError):
                raise
            raise unavailable("the key source could not be reached", type(error).__name__) from error
        finally:
            self._http = None

    def close(self) -> None:
        """Cut the fetch that is under way, from any thread, and allow no other."""
        self._closed = True
        if (http := self._http) is not None:
            http.cut()

    def _trusted(self) -> ssl.SSLContext | None:
        if self._address.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _exchange(self, http: Checked, etag: str | None) -> FetchedKeys:
        if self._closed:
            raise unavailable("the key source is closed")
        headers = _HEADERS if etag is None else {**_HEADERS, "If-None-Match": etag}
        http.request("GET", self._address.target, headers=headers, preload_content=False, decode_content=False)
        return _read(http.getresponse(), etag)


def _read(response: Any, etag: str | None) -> FetchedKeys:
    if response.status == 304 and etag is not None:
        return FetchedKeys(None, etag, _fresh_s(response.headers))
    if response.status != 200:
        raise unavailable("the key source answered with an error", f"HTTP status {response.status}")
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise malformed("the key source answered in an encoding that was not asked for")
    return FetchedKeys(_keys(_body(response)), _etag(response.headers), _fresh_s(response.headers))


def _body(response: Any) -> bytes:
    """Read to the end, which is where a body that was cut short is noticed, or to the limit."""
    body = bytearray()
    while chunk := response.read(_CHUNK_BYTES, decode_content=False):
        body += chunk
        if len(body) > MAXIMUM_BODY_BYTES:
            raise malformed(f"the key set is larger than {MAXIMUM_BODY_BYTES} bytes")
    return bytes(body)


def _keys(body: bytes) -> JWKSet:
    try:
        return JWKSet.from_json(body)
    except RejectedError as error:
        raise malformed("the key source published no valid key set", error.message) from error


def _etag(headers: Any) -> str | None:
    value: str | None = headers.get("ETag")
    return value if value and len(value) <= _MAXIMUM_ETAG_LENGTH and value.isascii() and value.isprintable() else None


def _fresh_s(headers: Any) -> float | None:
    """max-age less the Age that a cache on the way has added; None when no max-age was named."""
    found = _MAX_AGE.search(headers.get("Cache-Control", ""))
    if found is None:
        return None
    age = headers.get("Age", "")
    return float(found[1]) - (float(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0.0)
