"""RedisReplayStore: one pipeline of SET NX PX for all claims that wait. Each connection is proven before it is used.

A claim counts only if Redis forgets none before its end: `maxmemory-policy noeviction`, and after a restart that may
have lost some, nothing is claimed for one window (redis_record.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.retry import Retry

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import ConfigurationError, Reason, SealwrightError
from sealwright.trust.replay import full, unavailable
from sealwright.trust.stores.batches import Answer, Claim
from sealwright.trust.stores.redis_record import RECORD_KEY, RedisFacts, evicted_since, renewed
from sealwright.trust.stores.shared import TIMEOUT_S, SharedReplayStore

PREFIX = b"rp:"
WINDOW_S = 1200.0  # a token of 900 s, 60 s of leeway, 240 s between clocks
PROVEN_ANEW_S = 10.0
KEEPS_ALL = "noeviction"
_URL_OPTIONS = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_FROM_URL = _URL_OPTIONS | {"host", "port", "path", "username", "password", "connection_class"}


class RedisReplayStore(SharedReplayStore):
    """``window_s`` is the longest life of an entry, the same for all who share the Redis: so long nothing is claimed
    after it may have lost some. Raises ConfigurationError ``settings.invalid`` for a URL that is none.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, window_s: float = WINDOW_S) -> None:
        self._seen = _Seen()
        options = _options(url, timeout_s)
        super().__init__("redis", lambda: _RedisSender(options, window_s, self._seen), timeout_s)

    def _entries(self) -> int | None:
        return self._seen.entries

    def _evicted(self) -> int:
        return self._seen.evicted


class _Seen:
    """What was seen at the last proof."""

    entries: int | None = None
    evicted = 0


class _UnprovenError(RedisConnectionError):
    """A connection that must not be used, with the error that callers get."""

    def __init__(self, error: SealwrightError) -> None:
        super().__init__(error.message)
        self.error = error


class _RedisSender:
    def __init__(self, options: Mapping[str, Any], window_s: float, seen: _Seen) -> None:
        self._window_s, self._seen = window_s, seen
        self._client = Redis(**options, redis_connect_func=self._prove)  # type: ignore[arg-type]
        self._record = b""
        self._opens_at = self._proven_at = SYSTEM_CLOCK.monotonic()

    def send(self, claims: Sequence[Claim]) -> Sequence[Answer]:
        try:
            return self._send(claims)
        except _UnprovenError as unproven:
            raise unproven.error from None

    def _send(self, claims: Sequence[Claim]) -> Sequence[Answer]:
        if not self._record or SYSTEM_CLOCK.monotonic() - self._proven_at > PROVEN_ANEW_S:
            self._client.connection_pool.disconnect()
            self._client.ping()  # connects, and so proves
        sent = claims if self._closed_s() <= 0 else ()
        pipeline = self._client.pipeline(transaction=False)
        for claim in sent:
            if claim.ttl_ms <= self._window_s * 1000:
                pipeline.set(PREFIX + claim.key, b"1", nx=True, px=claim.ttl_ms)
            else:
                pipeline.ping()
        pipeline.get(RECORD_KEY)  # behind the claims: whatever emptied the store before them has taken it, too
        *answers, record = pipeline.execute(raise_on_error=False)
        if record != self._record:
            self._record = b""
            raise unavailable("the store was emptied, or its record changed")
        closed_s = self._closed_s()
        if len(sent) < len(claims) or closed_s > 0:
            raise unavailable(f"the store is new or may have lost entries, and claims nothing for {closed_s:.0f} s")
        return [self._answer(claim, answer) for claim, answer in zip(claims, answers, strict=True)]

    def _closed_s(self) -> float:
        return self._opens_at - SYSTEM_CLOCK.monotonic()

    def tidy(self) -> None:
        """Redis does that itself."""

    def close(self) -> None:
        self._client.close()

    def _answer(self, claim: Claim, answer: object) -> Answer:
        if claim.ttl_ms > self._window_s * 1000:
            return unavailable(f"the entry would outlive the store's window of {self._window_s:.0f} s")
        if isinstance(answer, OutOfMemoryError):
            return full()
        if isinstance(answer, Exception):
            return unavailable(detail=type(answer).__name__)
        return answer is True

    def _prove(self, connection: Any) -> None:
        """Called for every new connection, also where the driver connects anew by itself. Raises RedisError."""
        connection.on_connect()
        ask = _asking(connection)
        facts = _facts(ask)
        _check(facts)
        for _ in range(3):
            if self._adopt(ask, facts):
                self._seen.entries = int(ask("DBSIZE"))
                self._proven_at = SYSTEM_CLOCK.monotonic()
                return
        raise _UnprovenError(unavailable("others change the record of the store"))

    def _adopt(self, ask: Callable[..., Any], facts: RedisFacts) -> bool:
        """Bring the record up to date, unless somebody else does it at the same time."""
        ask("WATCH", RECORD_KEY)
        found = ask("GET", RECORD_KEY)
        seconds, microseconds = ask("TIME")
        now_ms = int(seconds) * 1000 + int(microseconds) // 1000
        record = renewed(found, facts, now_ms)
        if record.encode() == found:
            ask("UNWATCH")
        else:
            ask("MULTI")
            ask("SET", RECORD_KEY, record.encode())
            if ask("EXEC") is None:
                return False
            self._seen.evicted += evicted_since(found, facts)
        self._record = record.encode()
        left_ms = record.complete_since_ms + self._window_s * 1000 - now_ms
        self._opens_at = SYSTEM_CLOCK.monotonic() + (left_ms / 1000 if record.complete_since_ms else 0.0)
        return True


def _asking(connection: Any) -> Callable[..., Any]:
    def ask(*words: str | bytes) -> Any:
        connection.send_command(*words)
        try:
            return connection.read_response()
        except OutOfMemoryError as error:
            raise _UnprovenError(full()) from error

    return ask


def _facts(ask: Callable[..., Any]) -> RedisFacts:
    lines = ask("INFO").decode("utf-8", "replace").splitlines()
    info = dict(line.split(":", 1) for line in lines if ":" in line)
    try:
        told = [one.decode() for one in ask("CONFIG", "GET", "*appendfsync*")]
    except ResponseError:  # a service that tells nobody counts as one that may lose something
        told = []
    try:
        return RedisFacts.parse(info, dict(zip(told[::2], told[1::2], strict=True)))
    except (KeyError, ValueError) as error:
        raise _UnprovenError(unavailable("the store does not say how it keeps its entries")) from error


def _check(facts: RedisFacts) -> None:
    if facts.policy != KEEPS_ALL:
        message = f"Redis has maxmemory-policy {facts.policy} and forgets entries before their end: set {KEEPS_ALL}"
        raise _UnprovenError(ConfigurationError(Reason.SETTINGS_INVALID, message))
    if facts.cluster:
        message = "Redis is a cluster, whose nodes do not share one record: give a single primary"
        raise _UnprovenError(ConfigurationError(Reason.SETTINGS_INVALID, message))
    if not facts.primary:
        raise _UnprovenError(unavailable("the store is a replica, which takes no claims"))


def _options(url: str, timeout_s: float) -> dict[str, Any]:
    try:
        given = dict(parse_url(url))  # type: ignore[no-untyped-call]
    except (ValueError, RedisError):
        given = {"": None}
    if not given.keys() <= _FROM_URL or ("path" not in given and url.startswith("unix:")):
        message = (
            f"a Redis store is redis://, rediss:// or unix://, with no options but {', '.join(sorted(_URL_OPTIONS))}"
        )
        raise ConfigurationError(Reason.SETTINGS_INVALID, message)
    kind = given.pop("connection_class", None)
    if kind is not None:  # TLS or a Unix socket
        given |= {"unix_socket_path": given.pop("path")} if "path" in given else {"ssl": True}
    once = Retry(NoBackoff(), 0)
    limits = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "retry": once}
    return {**given, **limits, "protocol": 2}
