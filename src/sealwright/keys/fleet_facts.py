"""FleetFacts: what the verifiers' reports mean for the moves of keys, as of one time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sealwright.keys.guards import used_until
from sealwright.keys.record import KeyRecord
from sealwright.keys.timings import KeyTimings


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """Kids of standbys that too few live verifiers hold, and when any of them last accepted each kid."""

    at: float = 0.0
    unacknowledged: frozenset[str | None] = frozenset()
    accepted_at: Mapping[str | None, float] = field(default_factory=dict)
    patience_s: float = 0.0  # how long what cannot be right is waited for

    def used_until(self, record: KeyRecord, timings: KeyTimings) -> float:
        """As guards.used_until."""
        return used_until(self.accepted_at.get(record.key_id), record, timings, self.patience_s)


UNHEARD = FleetFacts()
