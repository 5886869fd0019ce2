"""FleetFacts: what the verifiers' reports mean for the moves of keys, as of one time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sealwright.keys.record import KeyRecord
from sealwright.keys.timings import KeyTimings


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """Kids of standbys that too few live verifiers hold, and when any of them last accepted each kid."""

    at: float = 0.0
    unacknowledged: frozenset[str | None] = frozenset()
    accepted_at: Mapping[str | None, float] = field(default_factory=dict)

    def used_until(self, record: KeyRecord, timings: KeyTimings) -> float:
        """Until when tokens of a key must be expected, by its last acceptance; 0 where nobody accepted one."""
        accepted_at = self.accepted_at.get(record.key_id)
        return 0.0 if accepted_at is None else accepted_at + timings.verify_tail_s


UNHEARD = FleetFacts()
