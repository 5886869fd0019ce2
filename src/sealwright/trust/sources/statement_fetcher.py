"""Where statements come from: one URL, asked for again by its ETag, or one file."""

from __future__ import annotations

import ssl
from pathlib import Path

from sealwright.trust.flight import malformed, unavailable
from sealwright.trust.sources.bounded_get import MAXIMUM_BODY_BYTES, BoundedGet
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.trust.statement_reader import Fetched

_ACCEPT = {"Accept": "application/jwt, application/jwk-set+jwt"}
_LONGEST_ETAG = 1024


class StatementFetcher:
    """Raises UnavailableError ``source.*``; ConfigurationError ``settings.invalid`` for a URL that is refused."""

    def __init__(self, url: str, *, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
        self._get = BoundedGet(KeyAddress.parse(url), tls)
        self._timeout_s = timeout_s

    def __call__(self, etag: str | None) -> Fetched:
        asked = {} if etag is None else {"If-None-Match": etag}
        answer = self._get.get({**_ACCEPT, **asked}, self._timeout_s)
        if answer.status == 304 and etag is not None:
            return Fetched(None, etag)
        if answer.status != 200:
            raise unavailable("the service answered with an error", f"HTTP status {answer.status}")
        return Fetched(answer.body.strip(), _plain(answer.headers.get("ETag")))

    def close(self) -> None:
        """Cut the fetch that is under way, from any thread."""
        self._get.close()


class StatementFile:
    """A statement that is brought here by hand. Raises UnavailableError ``source.*``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, _: str | None) -> Fetched:
        try:
            with self._path.open("rb") as file:
                text = file.read(MAXIMUM_BODY_BYTES + 1)
        except OSError as error:
            raise unavailable("the file of the statement cannot be read", error.strerror) from error
        if len(text) > MAXIMUM_BODY_BYTES:
            raise malformed(f"the statement is larger than {MAXIMUM_BODY_BYTES} bytes")
        return Fetched(text.strip())

    def close(self) -> None:
        """There is nothing to cut."""


def _plain(etag: str | None) -> str | None:
    return etag if etag and len(etag) <= _LONGEST_ETAG and etag.isascii() and etag.isprintable() else None
