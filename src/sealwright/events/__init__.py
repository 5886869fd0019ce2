"""The few facts worth observing, and the Observer protocol.

An event is past tense, complete when it is emitted, and free of token text and secrets.
Durations are in seconds. Issuer names come from configuration, never from a token.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from sealwright.events.signing import (
    BackendCall,
    BackendCalled,
    BackendChecked,
    BreakGlassUsed,
    CertificateLoaded,
    FleetCounted,
    KeyMoved,
    OrphansCounted,
    ScheduledStepFailed,
    SchedulerTicked,
    SigningWaited,
    TickOutcome,
    TokenRequested,
    TokenSigned,
    TokenStatusChanged,
)
from sealwright.events.verifying import (
    ConfigReloaded,
    EventsPolled,
    FileUse,
    KeyFileFailed,
    KeySourceRefreshed,
    ReplayClaimed,
    ReplayOutcome,
    StaleFeedIgnored,
    StatementKind,
    StatementRefreshed,
    StatusCheckName,
    TokenDecided,
    TokenStatusAsked,
    TokenStatusChecked,
    WorkerEnded,
)

__all__ = [
    "BackendCall",
    "BackendCalled",
    "BackendChecked",
    "BreakGlassUsed",
    "CertificateLoaded",
    "ConfigReloaded",
    "Event",
    "EventsPolled",
    "FileUse",
    "FleetCounted",
    "KeyFileFailed",
    "KeyMoved",
    "KeySourceRefreshed",
    "Observer",
    "OrphansCounted",
    "ReplayClaimed",
    "ReplayOutcome",
    "ScheduledStepFailed",
    "SchedulerTicked",
    "SigningWaited",
    "StaleFeedIgnored",
    "StatementKind",
    "StatementRefreshed",
    "StatusCheckName",
    "TickOutcome",
    "TokenDecided",
    "TokenRequested",
    "TokenSigned",
    "TokenStatusAsked",
    "TokenStatusChanged",
    "TokenStatusChecked",
    "WorkerEnded",
    "tell",
]

Event = (
    TokenSigned
    | TokenDecided
    | ReplayClaimed
    | KeySourceRefreshed
    | KeyFileFailed
    | StatementRefreshed
    | StaleFeedIgnored
    | EventsPolled
    | KeyMoved
    | TokenStatusChanged
    | TokenRequested
    | TokenStatusAsked
    | TokenStatusChecked
    | CertificateLoaded
    | ConfigReloaded
    | WorkerEnded
    | BreakGlassUsed
    | BackendCalled
    | SigningWaited
    | SchedulerTicked
    | ScheduledStepFailed
    | FleetCounted
    | OrphansCounted
    | BackendChecked
)


class Observer(Protocol):
    """Receives events. Must not block and must not raise; ``telemetry.fan_out`` contains one that does raise."""

    def observe(self, event: Event) -> None: ...


def tell(observer: Observer | None, event: Event) -> None:
    """Hand over one event; whatever the observer does with it, the caller goes on."""
    if observer is not None:
        with suppress(Exception):
            observer.observe(event)
