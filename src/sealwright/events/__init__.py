"""The few facts worth observing, and the Observer protocol.

An event is past tense, complete when it is emitted, and free of token text and secrets.
Durations are in seconds. Issuer names come from configuration, never from a token.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
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
    "Again",
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
    "PreparingObserver",
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
    "prepared",
    "tell",
    "unobserved",
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
        try:
            observer.observe(event)
        except Exception:  # noqa: BLE001 - a context manager would cost more than all the rest
            return


Again = Callable[[float], None]


class PreparingObserver(Observer, Protocol):
    """One that can get ready for a decision that will be made again and again: ``prepared`` observes it each time."""

    def prepared(self, event: TokenDecided) -> Again: ...


def prepared(observer: Observer, event: TokenDecided) -> Again:
    """What observes this event with another duration in seconds at each call. It may raise as ``observe`` may."""
    prepare: Callable[[TokenDecided], Again] | None = getattr(observer, "prepared", None)
    if prepare is not None:
        with suppress(Exception):  # as in tell; what it could not prepare it is shown each time
            return prepare(event)
    return lambda duration_s: observer.observe(replace(event, duration_s=duration_s))


def unobserved(_: float) -> None:
    """What a PreparingObserver has ready for a decision that is nothing to it."""
