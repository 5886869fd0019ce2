"""KeySnapshot: one fetched key set and how long it counts; immutable, swapped by reference."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import SystemRandom
from typing import Self

from sealwright.jose.jwk_set import JWKSet
from sealwright.trust.cache_settings import CacheSettings

_RANDOM = SystemRandom()


MAXIMUM_DROPPED = 256


@dataclass(frozen=True, slots=True)
class FetchedKeys:
    """What one fetch brought, from which address; ``is_first`` when that is the issuer's own and not a mirror."""

    keys: JWKSet
    etag: str | None = None
    max_age_s: float | None = None
    sequence: int | None = None
    url: str | None = None
    is_first: bool = True
    said_unix_s: float | None = None  # by the clock of who answered


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """A key set with its times, in seconds of the monotonic clock, counted from the start of the fetch."""

    flight: int  # the number of the fetch that brought or confirmed it; 0 when it was inherited
    keys: JWKSet
    fetched_at: float
    refresh_at: float
    fresh_until: float
    dead_at: float  # the last moment at which a removed key may still be accepted
    confirmed_at: float  # when the first address answered last
    fetched_unix_s: float  # fetched_at by the clock on the wall
    sequence: int | None = None
    url: str | None = None
    is_confirmed: bool = True  # by the first address; a mirror may be behind, and cannot say that a key is unknown
    dropped: tuple[str, ...] = ()  # thumbprints of keys that the first address no longer shows, the newest last

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
        began_unix_s: float = 0.0,
    ) -> Self:
        """What counts after a fetch. One that took longer than the freshness is not followed by the next at once."""
        fresh_s = settings.freshness_for(fetched.max_age_s)
        jitter = _RANDOM.uniform(-settings.refresh_jitter_ratio, settings.refresh_jitter_ratio)
        return cls(
            flight=flight,
            keys=fetched.keys,
            fetched_at=began,
            refresh_at=max(
                began + fresh_s * (settings.refresh_ahead_ratio + jitter),
                landed + settings.minimum_freshness_s / 2,
            ),
            fresh_until=began + fresh_s,
            dead_at=began + fresh_s + settings.stale_s,
            confirmed_at=began if fetched.is_first or before is None else before.confirmed_at,
            fetched_unix_s=began_unix_s,
            sequence=fetched.sequence,
            url=fetched.url,
            is_confirmed=fetched.is_first,
            dropped=_dropped(before, fetched),
        )

    def is_fresh(self, now: float) -> bool:
        return now < self.fresh_until

    def is_usable(self, now: float) -> bool:
        return now < self.dead_at


def same_keys(one: JWKSet, other: JWKSet) -> bool:
    """Whether two sets hold the same keys, whatever their order."""
    return set(one.keys) == set(other.keys) and len(one) == len(other)


def thumbprints(keys: JWKSet) -> set[str]:
    return {key.thumbprint() for key in keys}


def _dropped(before: KeySnapshot | None, fetched: FetchedKeys) -> tuple[str, ...]:
    """Only the first address can say that a key is gone, or is there again."""
    if before is None or not fetched.is_first:
        return before.dropped if before else ()
    shown = thumbprints(fetched.keys)
    newly = thumbprints(before.keys) - shown - set(before.dropped)
    return (*(one for one in before.dropped if one not in shown), *sorted(newly))[-MAXIMUM_DROPPED:]
