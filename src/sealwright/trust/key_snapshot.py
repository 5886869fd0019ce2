"""KeySnapshot: one fetched key set and how long it counts; immutable, swapped by reference."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import SystemRandom
from typing import Self

from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.cache_settings import CacheSettings

_RANDOM = SystemRandom()


@dataclass(frozen=True, slots=True)
class FetchedKeys:
    """What one fetch brought. ``keys`` None means 304: what we have is still right."""

    keys: JWKSet | None
    etag: str | None = None
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """A key set with its times, in seconds of the monotonic clock, counted from the start of the fetch."""

    flight: int  # the number of the fetch that brought or confirmed it; 0 when it was inherited
    keys: JWKSet
    etag: str | None
    fetched_at: float
    refresh_at: float
    fresh_until: float
    dead_at: float  # the last moment at which a removed key may still be accepted

    @classmethod
    def after(
        cls,
        before: KeySnapshot | None,
        fetched: FetchedKeys,
        *,
        flight: int,
        began: float,
        landed: float,
        settings: CacheSettings,
    ) -> Self:
        """What counts after a fetch. One that took longer than the freshness is not followed by the next at once."""
        keys = fetched.keys if fetched.keys is not None else before.keys if before else JWKSet()
        fresh_s = settings.freshness_for(fetched.max_age_s)
        jitter = _RANDOM.uniform(-settings.refresh_jitter_ratio, settings.refresh_jitter_ratio)
        return cls(
            flight=flight,
            keys=keys,
            etag=fetched.etag,
            fetched_at=began,
            refresh_at=max(
                began + fresh_s * (settings.refresh_ahead_ratio + jitter),
                landed + settings.minimum_freshness_s / 2,
            ),
            fresh_until=began + fresh_s,
            dead_at=began + fresh_s + settings.stale_s,
        )

    def is_fresh(self, now: float) -> bool:
        return now < self.fresh_until

    def is_usable(self, now: float) -> bool:
        return now < self.dead_at


def same_keys(one: JWKSet, other: JWKSet) -> bool:
    """Whether two sets hold the same keys, whatever their order."""
    return set(one.keys) == set(other.keys) and len(one) == len(other)
