"""Our key cache behind our verifier, as an application has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sealwright as sw
from benchmarks.work import AUDIENCE, ISSUER
from sealwright.trust.cache_settings import CacheSettings

Made = tuple[Callable[[str], Any], Callable[[], None]]


def make_sync(url: str, ttl_s: float = 300.0, timeout_s: float = 2.0, cooldown_s: float | None = None) -> Made:  # noqa: ARG001 - a peer's
    """There is no cooldown: a budget stands in its place, and is left at its default."""
    source, verifier = _made(url, ttl_s, timeout_s)
    return verifier.verify, source.close


def make_async(url: str, ttl_s: float = 300.0, timeout_s: float = 2.0, cooldown_s: float | None = None) -> Made:  # noqa: ARG001 - a peer's
    source, verifier = _made(url, ttl_s, timeout_s)
    return verifier.averify, source.close


def _made(url: str, ttl_s: float, timeout_s: float) -> tuple[sw.RemoteJWKSet, sw.Verifier]:
    settings = CacheSettings(default_freshness_s=ttl_s)
    source = sw.RemoteJWKSet(url, timeout_s=timeout_s, settings=settings)
    return source, sw.Verifier(issuer=ISSUER, audience=AUDIENCE, keys=source, algorithms=["RS256"])
