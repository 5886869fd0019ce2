"""ryjwt's JWKSClient. Its timeout is 2.5 s and cannot be changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ryjwt

from benchmarks.work import AUDIENCE, ISSUER

Made = tuple[Callable[[str], Any], Callable[[], None]]


def make_sync(url: str, ttl_s: float = 300.0, timeout_s: float = 2.0, cooldown_s: float | None = None) -> Made:  # noqa: ARG001
    return _client(url, ttl_s, cooldown_s).decode, lambda: None


def make_async(url: str, ttl_s: float = 300.0, timeout_s: float = 2.0, cooldown_s: float | None = None) -> Made:  # noqa: ARG001
    return _client(url, ttl_s, cooldown_s).adecode, lambda: None


def _client(url: str, ttl_s: float, cooldown_s: float | None) -> Any:
    cooldown = {} if cooldown_s is None else {"cooldown": cooldown_s}
    return ryjwt.JWKSClient(
        url,
        algorithms=["RS256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        cache_lifetime=ttl_s,
        min_cache_lifetime=1,
        **cooldown,
    )
