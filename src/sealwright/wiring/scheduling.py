"""Build the scheduler, with the chores that it does beside its moves."""

from __future__ import annotations

from sealwright.events import OrphansCounted, tell
from sealwright.keys.orphans import find_orphans
from sealwright.keys.scheduler import Chore, Scheduler
from sealwright.settings import ServiceSettings
from sealwright.wiring.signing import SigningSide

ORPHANS_EVERY_S = 86_400.0


def build_scheduler(settings: ServiceSettings, signing: SigningSide) -> Scheduler:
    """Not started yet, so that whoever starts it may add chores."""
    every_s = settings.scheduler_every_s
    scheduler = Scheduler(
        signing.lifecycle,
        signing.catalog,
        signing.policies,
        clock=signing.clock,
        observer=signing.observer,
        every_s=every_s,
    )
    scheduler.chores.append(Chore("orphans", lambda: count_orphans(signing), round(ORPHANS_EVERY_S / every_s)))
    return scheduler


def count_orphans(signing: SigningSide) -> None:
    """One event for each backend that answered; the failures of others are events of the backend."""
    for found in find_orphans(signing.catalog, signing.backends):
        if found.failed is None:
            tell(signing.observer, OrphansCounted(found.backend, len(found.unknown), len(found.missing)))
