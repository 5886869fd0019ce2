"""Times as people and machines read them."""

from __future__ import annotations

from datetime import UTC, datetime


def written(at: float) -> str:
    """RFC 3339, in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
