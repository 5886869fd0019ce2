"""JwksFetcher: the JWK Set of one address, asked for again by its ETag (RFC 9110 §13)."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sealwright.errors import RejectedError, UnavailableError
from sealwright.jose import strict_json
from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.flight import malformed, unavailable
from sealwright.trust.key_snapshot import FetchedKeys
from sealwright.trust.sources.bounded_get import Answer, BoundedGet
from sealwright.trust.sources.key_address import KeyAddress

MAXIMUM_SEQUENCE = 2**53 - 1
_MAXIMUM_ETAG_LENGTH = 1024
_ACCEPT = {"Accept": "application/jwk-set+json, application/json"}


class JwksFetcher:
    """Remembers what its address gave last, for a 304. ``algorithms`` binds the keys; the ambiguous ones are skipped.

    Raises UnavailableError ``source.*``, also for a set without a single usable key: it would lock everyone out.
    """

    def __init__(
        self, address: KeyAddress, *, algorithms: Collection[str] | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.address, self._algorithms = address, algorithms
        self._get = BoundedGet(address, tls)
        self._last: FetchedKeys | None = None

    def fetch(self, timeout_s: float) -> FetchedKeys:
        last = self._last
        asked = {} if last is None or last.etag is None else {"If-None-Match": last.etag}
        answer = self._get.get({**_ACCEPT, **asked}, timeout_s)
        if answer.status == 304 and asked and last is not None:
            return replace(last, max_age_s=answer.fresh_s, said_unix_s=answer.said_unix_s)
        if answer.status != 200:
            raise refused(answer)
        self._last = found = self._read(answer)
        return found

    def close(self) -> None:
        self._get.close()

    def _read(self, answer: Answer) -> FetchedKeys:
        try:
            members = strict_json.parse_object(answer.body)
            keys = usable(JWKSet.from_dict(members), self._algorithms)
        except RejectedError as error:
            raise malformed("the key source published no valid key set", error.message) from error
        return FetchedKeys(
            keys,
            _etag(answer.headers),
            answer.fresh_s,
            sequence_of(members),
            self.address.url,
            said_unix_s=answer.said_unix_s,
        )


def usable(keys: JWKSet, algorithms: Collection[str] | None) -> JWKSet:
    """The keys with their one algorithm each, where the rules are known. Raises UnavailableError when none is left."""
    bound = keys if algorithms is None else keys.bound_to(algorithms)
    if not len(bound):
        raise malformed("the key source published no usable key")
    return bound


def sequence_of(members: dict[str, Any]) -> int | None:
    """The member "seq" of a set whose publisher numbers its sets."""
    found = members.get("seq")
    return found if type(found) is int and 0 <= found <= MAXIMUM_SEQUENCE else None


def refused(answer: Answer) -> UnavailableError:
    return unavailable("the key source answered with an error", f"HTTP status {answer.status}")


def _etag(headers: Any) -> str | None:
    value: str | None = headers.get("ETag")
    return value if value and len(value) <= _MAXIMUM_ETAG_LENGTH and value.isascii() and value.isprintable() else None
