"""LineLimit: of log lines that strangers can cause, some in each second; the next one says how many were left out."""

from __future__ import annotations

from collections.abc import Hashable

from sealwright.events import Event, ReplayClaimed, TokenDecided, TokenStatusAsked, TokenStatusChecked


class LineLimit:
    """At most ``per_s`` lines of each kind in a second of ``now``. The caller holds the lock."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._windows: dict[Hashable, tuple[float, int]] = {}  # kind -> its second began at, lines in it

    def left_out(self, kind: Hashable, now: float) -> int | None:
        """None for a line that is left out too; else how many of its kind were since the last that was written."""
        began, count = self._windows.get(kind, (now, 0))
        if not 0 <= now - began < 1:
            left_out = max(0, count - self._per_s)
            began, count = now, 0
        else:
            left_out = 0
        self._windows[kind] = began, count + 1
        return left_out if count < self._per_s else None


def refusal_kind(event: Event) -> Hashable | None:
    """What lines about refused tokens have in common, which are as many as configured issuers times reasons at most."""
    if isinstance(event, TokenDecided) and event.outcome == "accepted":
        return None
    if isinstance(event, TokenDecided | ReplayClaimed | TokenStatusAsked | TokenStatusChecked):
        return type(event), event.issuer, getattr(event, "reason", None)
    return None
