"""Build the queue before each key backend."""

from __future__ import annotations

import os
from collections.abc import Iterable

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Observer
from sealwright.keys.signing_queue import SigningQueue
from sealwright.settings import ServiceSettings

REMOTE_CONCURRENCY = 4  # sessions of an HSM and connections of a service are few


def build_queues(
    settings: ServiceSettings, backends: Iterable[str], observer: Observer, clock: Clock = SYSTEM_CLOCK
) -> dict[str, SigningQueue]:
    """One queue for each named backend; local keys bear as many signatures at a time as there are cores."""
    return {name: _queue(settings, name, observer, clock) for name in backends}


def _queue(settings: ServiceSettings, name: str, observer: Observer, clock: Clock) -> SigningQueue:
    given = settings.backends.get(name)
    in_process = given is None or given.uri.get_secret_value().startswith("memory:")
    usual = (os.cpu_count() or 1) if in_process else REMOTE_CONCURRENCY
    return SigningQueue(
        name,
        concurrency=(given and given.concurrency) or usual,
        in_process=in_process,
        most_waiting=settings.signing_waiting,
        deadline_s=settings.signing_deadline_s,
        clock=clock,
        observer=observer,
    )
