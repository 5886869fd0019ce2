"""Open a store of what was presented before, by its URL; a driver is imported only when a URL names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sealwright.errors import ConfigurationError, Reason, UnavailableError
from sealwright.trust.replay import ReplayStore
from sealwright.trust.stores.memory import MemoryReplayStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayStoreOptions:
    """Each for the stores that know of it; None is the store's own default.

    ``sharers`` counts the processes that verify for one audience: replicas times workers.
    """

    capacity: int | None = None  # memory, SQL: entries. Redis has its maxmemory.
    timeout_s: float | None = None  # Redis, SQL: the longest that a claim waits
    window_s: float | None = None  # Redis: the longest life of an entry
    sharers: int = 1
    local_though_shared: bool = False  # somebody chose that each process accepts a token once


def open_replay_store(url: str, options: ReplayStoreOptions = ReplayStoreOptions()) -> ReplayStore:
    """``memory:``, ``redis://``, ``rediss://``, ``unix://``, ``sqlite:///FILE`` or ``postgresql://``.

    A store that does not answer yet is opened, and claims nothing meanwhile. Raises ConfigurationError
    ``settings.invalid``: for a URL that is none, a driver that is not installed, a store that forgets too early, and a
    memory of each process where several share the tokens. No error shows the URL.
    """
    opened = SCHEMES.get(url.partition(":")[0])
    if opened is None:
        raise _wrong(f"a store of what was presented before is one of {', '.join(f'{name}:' for name in SCHEMES)}")
    _check(options)
    store = opened(url, options)
    try:
        with suppress(UnavailableError):
            store.check()
    except ConfigurationError:
        store.close()
        raise
    return store


def _check(options: ReplayStoreOptions) -> None:
    amounts = (options.capacity, options.timeout_s, options.window_s, options.sharers)
    if any(amount is not None and not 0 < amount < 1e12 for amount in amounts):
        raise _wrong("capacity, timeout, window and sharers of a replay store are positive")


def _memory(url: str, options: ReplayStoreOptions) -> ReplayStore:
    if url != "memory:":
        raise _wrong("the memory of a process has no address: memory:")
    if options.sharers > 1 and not options.local_though_shared:
        raise _wrong(f"each of {options.sharers} processes would accept a token once: share Redis or a database")
    return MemoryReplayStore(**_given(capacity=options.capacity))


def _redis(url: str, options: ReplayStoreOptions) -> ReplayStore:
    try:
        from sealwright.trust.stores.redis import RedisReplayStore
    except ImportError as error:
        raise _not_installed("redis") from error
    return RedisReplayStore(url, **_given(timeout_s=options.timeout_s, window_s=options.window_s))


def _sql(url: str, options: ReplayStoreOptions) -> ReplayStore:
    extra = "postgresql" if url.startswith("postgresql:") else "sql"
    try:
        from sealwright.trust.stores.sql import SqlReplayStore
    except ImportError as error:
        raise _not_installed(extra) from error
    return SqlReplayStore(url, **_given(timeout_s=options.timeout_s, capacity=options.capacity))


SCHEMES: Mapping[str, Callable[[str, ReplayStoreOptions], ReplayStore]] = MappingProxyType(
    {
        "memory": _memory,
        "redis": _redis,
        "rediss": _redis,
        "unix": _redis,
        "sqlite": _sql,
        "postgresql": _sql,
    }
)


def _given(**options: float | None) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _not_installed(extra: str) -> ConfigurationError:
    return _wrong(f"this store needs its driver: pip install 'sealwright[{extra}]'")


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
