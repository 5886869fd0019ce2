"""BoundedGet: one GET of one checked address, bounded in time and size, that follows no redirect."""

from __future__ import annotations

import re
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

from urllib3.exceptions import HTTPError

from sealwright.errors import UnavailableError
from sealwright.trust.flight import malformed, unavailable
from sealwright.trust.sources.key_address import KeyAddress
from sealwright.trust.sources.key_connection import Checked, KeyConnection

MAXIMUM_BODY_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_MAX_AGE = re.compile(r'(?:^|,)\s*max-age\s*=\s*"?([0-9]{1,9})', re.IGNORECASE)
_HEADERS = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "sealwright"}


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is empty unless the status is one whose body was wanted."""

    status: int
    headers: Any
    body: bytes

    @property
    def fresh_s(self) -> float | None:
        """max-age less the Age that a cache on the way has added (RFC 9111 §4.2); None when no max-age was named."""
        found = _MAX_AGE.search(self.headers.get("Cache-Control", ""))
        if found is None:
            return None
        age = self.headers.get("Age", "")
        return float(found[1]) - (float(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0.0)

    @property
    def said_unix_s(self) -> float | None:
        """When the other side says that it answered (RFC 9110 §6.6.1); None for an answer that a cache had kept."""
        try:
            said = parsedate_to_datetime(self.headers.get("Date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return None
        age = self.headers.get("Age", "")
        return None if age not in ("", "0") else said


class BoundedGet:
    """Asks one address. Raises UnavailableError ``source.*`` for all but an answer; its status is the caller's.

    With a ``form`` it is a POST of that. ``bodies`` are the statuses whose bodies are read.
    """

    def __init__(
        self,
        address: KeyAddress,
        tls: ssl.SSLContext | None = None,
        form: bytes | None = None,
        *,
        bodies: Collection[int] = (200,),
    ) -> None:
        self.address, self._tls, self._form, self._bodies = address, tls, form, bodies
        self._closed = False
        self._http: Checked | None = None

    def get(self, headers: Mapping[str, str], timeout_s: float) -> Answer:
        http: Checked | None = None
        try:
            with KeyConnection(self.address, timeout_s, self._trusted()) as http:
                self._http = http
                answer = self._exchange(http, headers)
                if http.was_cut:  # which looks like the end of the answer
                    raise TimeoutError("cut while reading")
                return answer
        except (UnavailableError, HTTPError, HTTPException, OSError, UnicodeError) as error:
            if http is not None and http.was_cut:
                raise unavailable("the key source did not answer in time") from error
            if isinstance(error, UnavailableError):
                raise
            raise unavailable("the key source could not be reached", type(error).__name__) from error
        finally:
            self._http = None

    def close(self) -> None:
        """Cut the exchange that is under way, from any thread, and allow no other."""
        self._closed = True
        if (http := self._http) is not None:
            http.cut()

    def _trusted(self) -> ssl.SSLContext | None:
        if self.address.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _exchange(self, http: Checked, headers: Mapping[str, str]) -> Answer:
        if self._closed:
            raise unavailable("the key source is closed")
        sent, method = {**_HEADERS, **headers}, "GET" if self._form is None else "POST"
        http.request(method, self.address.target, self._form, headers=sent, preload_content=False, decode_content=False)
        response = http.getresponse()
        return Answer(response.status, response.headers, _body(response) if response.status in self._bodies else b"")


def _body(response: Any) -> bytes:
    """Read to the end, which is where a body that was cut short is noticed, or to the limit."""
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise malformed("the key source answered in an encoding that was not asked for")
    body = bytearray()
    while chunk := response.read(_CHUNK_BYTES, decode_content=False):
        body += chunk
        if len(body) > MAXIMUM_BODY_BYTES:
            raise malformed(f"the key source answered with more than {MAXIMUM_BODY_BYTES} bytes")
    return bytes(body)
