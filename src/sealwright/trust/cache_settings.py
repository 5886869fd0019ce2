"""CacheSettings: every number of the key cache, in one frozen place."""

from __future__ import annotations

from dataclasses import dataclass

from sealwright.errors import ConfigurationError, Reason
from sealwright.trust.backoff import Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """How long keys are believed and how often they may be fetched. Names ending in ``_s`` are seconds.

    Raises ConfigurationError ``settings.invalid`` for numbers that contradict each other.
    """

    freshness_s: float = 300.0  # the most; a shorter max-age wins
    default_freshness_s: float = 300.0  # where an answer names no max-age
    minimum_freshness_s: float = 1.0  # a max-age below it is clamped
    refresh_ahead_ratio: float = 0.8  # of the freshness, when the background refresh is due
    refresh_jitter_ratio: float = 0.1
    stale_s: float = 3600.0  # after the freshness, while the source fails; then nothing is served
    mirror_s: float = 86_400.0  # how long mirrors may stand in for the first address since that answered last
    baked_s: float = 86_400.0  # how long keys from a file in the image count since they were fetched
    discovery_s: float = 86_400.0  # the most that a discovery document is believed; a shorter max-age wins
    unknown_kid_burst: int = 5
    unknown_kid_interval_s: float = 10.0
    unknown_kid_wait_s: float = 1.0  # how long a caller with an unknown kid is held up at most
    unknown_kids_remembered: int = 1024
    unknown_kid_memory_s: float = 300.0
    backoff_first_s: float = 1.0
    backoff_maximum_s: float = 60.0
    backoff_jitter_ratio: float = 0.25  # lengthens, never shortens

    def __post_init__(self) -> None:
        if not 0 < self.minimum_freshness_s <= min(self.freshness_s, self.default_freshness_s):
            raise _wrong("freshness needs 0 < minimum <= maximum")
        if not 0 <= self.refresh_jitter_ratio < self.refresh_ahead_ratio <= 1 - self.refresh_jitter_ratio:
            raise _wrong("the refresh must be due between the fetch and the end of freshness, jitter included")
        if not 0 < self.backoff_first_s <= self.backoff_maximum_s:
            raise _wrong("backoff needs 0 < first <= maximum")
        if self.unknown_kid_burst < 1 or self.unknown_kid_interval_s <= 0 or self.unknown_kids_remembered < 1:
            raise _wrong("the budget for unknown kids must be positive")
        times = (self.stale_s, self.mirror_s, self.discovery_s, self.baked_s, self.unknown_kid_memory_s)
        if min(*times, self.unknown_kid_wait_s, self.backoff_jitter_ratio) < 0:
            raise _wrong("no time may be negative")

    def freshness_for(self, max_age_s: float | None) -> float:
        """Seconds that an answer with this max-age is fresh; None when it named none."""
        if max_age_s is None:
            return min(self.freshness_s, self.default_freshness_s)
        return min(self.freshness_s, max(self.minimum_freshness_s, max_age_s))

    def discovery_for(self, max_age_s: float | None) -> float:
        """Seconds that a discovery document counts; it is asked for no more often than the keys are."""
        return self.discovery_s if max_age_s is None else min(self.discovery_s, max(self.freshness_s, max_age_s))

    def pacing(self) -> Backoff:
        """How long one failing address is left alone."""
        return Backoff(self.backoff_first_s, self.backoff_maximum_s, self.backoff_jitter_ratio)


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(Reason.SETTINGS_INVALID, message)
