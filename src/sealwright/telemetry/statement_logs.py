"""What a log line says of statements that a verifier obeys, and of the events that it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sealwright.events import EventsPolled, StaleFeedIgnored, StatementRefreshed
from sealwright.telemetry.shown import shown


def has_news(event: StatementRefreshed | EventsPolled) -> bool:
    """They come every few seconds, and get a line when they say something."""
    if isinstance(event, StatementRefreshed):
        return event.outcome != "unchanged"
    return event.reason is not None or event.events + event.refused > 0


def _refreshed(event: StatementRefreshed) -> dict[str, Any]:
    level = "info" if event.reason is None else "error"
    facts = {"level": level, "event": "statement.refreshed", "kind": event.kind, "issuer": shown(event.issuer)}
    return facts | {"outcome": event.outcome, "sequence": event.sequence, "keys": event.keys} | _result(event)


def _ignored(event: StaleFeedIgnored) -> dict[str, Any]:
    return {"level": "critical", "event": "revocation.stale_ignored", "issuer": shown(event.issuer)}


def _polled(event: EventsPolled) -> dict[str, Any]:
    level = "warning" if event.refused or event.reason is not None else "info"
    counts = {"outcome": event.outcome, "events": event.events, "refused": event.refused}
    return {"level": level, "event": "security_events.polled"} | counts | _result(event)


def _result(event: StatementRefreshed | EventsPolled) -> dict[str, Any]:
    return {"reason": event.reason, "duration_ms": round(event.duration_s * 1000, 3)}


STATEMENT_FACTS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    StatementRefreshed: _refreshed,
    StaleFeedIgnored: _ignored,
    EventsPolled: _polled,
}
