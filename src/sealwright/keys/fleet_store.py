"""FleetStore protocol: where replicas keep what verifiers report. No key, no audit, and no version of the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sealwright.keys.fleet import Member

MOST_MEMBERS = 10_000  # of the newest; older ones are forgotten first


class FleetStore(Protocol):
    """Shared by all replicas. Raises UnavailableError ``catalog.unavailable``."""

    def put(self, members: Sequence[Member]) -> None:
        """Merge these with what is known of the same processes; see ``fleet.merged``."""
        ...

    def members(self, since: float = 0.0) -> list[Member]:
        """Everyone heard of since then, sorted by name and instance; at most MOST_MEMBERS, the newest of them."""
        ...

    def forget(self, before: float) -> int:
        """Drop who was not heard of since, and the oldest beyond MOST_MEMBERS; how many were dropped."""
        ...
