"""How long a key stays in each state: every number is a setting, and tests run with seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyTimings:
    """Durations in seconds, named as in docs/lifecycle.md."""

    jwks_max_age_s: float = 300.0  # M
    worst_consumer_cache_s: float = 1200.0  # C
    longest_token_s: float = 900.0  # T
    leeway_s: float = 60.0  # S
    replication_s: float = 60.0  # E
    verify_window_floor_s: float = 86_400.0
    restorable_s: float = 30 * 86_400.0
    rotation_period_s: float = 30 * 86_400.0  # 0: by hand only
    pending_s: float = 48 * 3600.0
    published_keys: int = 20

    @property
    def standby_dwell_s(self) -> float:
        """How long a key is published before it may sign: every verifier has it by then."""
        return max(5 * self.jwks_max_age_s, self.worst_consumer_cache_s) + self.replication_s

    @property
    def verify_tail_s(self) -> float:
        """How long a key stays published after its last signature: until the last token has expired everywhere."""
        caches_s = max(self.jwks_max_age_s, self.worst_consumer_cache_s)
        return self.longest_token_s + self.leeway_s + caches_s + self.replication_s

    @property
    def verify_window_s(self) -> float:
        """The longest that a key which signed until it was rotated stays in verify_only."""
        return max(self.verify_tail_s, self.verify_window_floor_s)
