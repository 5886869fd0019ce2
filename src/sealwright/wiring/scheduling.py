"""Build the scheduler, with the chores that it does beside its moves."""

from __future__ import annotations

from functools import partial

from sealwright.errors import Reason, RefusedError
from sealwright.events import OrphansCounted, tell
from sealwright.keys import audit_statements
from sealwright.keys.enforcements import Enforcements
from sealwright.keys.orphans import find_orphans
from sealwright.keys.scheduler import ACTOR, REASON, Chore, Scheduler
from sealwright.settings import INTERNAL_ISSUER, ServiceSettings
from sealwright.wiring.signing import SigningSide

ORPHANS_EVERY_S = 86_400.0
FORGET_LOST_EVERY_S, FORGET_TOKENS_EVERY_S = 3600.0, 60.0


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
    chores = (
        ("orphans", count_orphans, ORPHANS_EVERY_S),
        ("audit_checkpoint", write_checkpoint, settings.audit_checkpoint_every_s),
        ("revocations_enforced", note_enforced, every_s),
        ("fleet", forget_lost, FORGET_LOST_EVERY_S),
        ("expired_tokens", forget_tokens, FORGET_TOKENS_EVERY_S),
    )
    scheduler.chores += [Chore(name, partial(do, signing), max(1, round(s / every_s))) for name, do, s in chores]
    return scheduler


def forget_lost(signing: SigningSide) -> None:
    """Verifiers that nobody has heard of for a day."""
    signing.lifecycle.fleet.forget()


def note_enforced(signing: SigningSide) -> None:
    """Revocations that every live verifier obeys by now."""
    found = Enforcements(signing.catalog, signing.lifecycle.fleet, signing.clock)
    found.write(signing.catalog.records(), actor=ACTOR, reason=REASON)


def forget_tokens(signing: SigningSide) -> None:
    """Tokens that have expired need not be remembered as revoked."""
    signing.catalog.forget_tokens(signing.clock.now())


def write_checkpoint(signing: SigningSide) -> None:
    """Sign where all chains stand, unless a checkpoint says so already."""
    if audit_statements.is_covered(signing.catalog):
        return
    signer = signing.signer(INTERNAL_ISSUER, "trust-root")
    who = {"issuer": INTERNAL_ISSUER, "actor": ACTOR, "reason": REASON}
    try:
        audit_statements.write_checkpoint(signing.catalog, signer, clock=signing.clock, **who)
    except RefusedError as refused:
        if refused.reason is not Reason.CATALOG_CONFLICT:  # another process has just written one
            raise


def count_orphans(signing: SigningSide) -> None:
    """One event for each backend that answered; the failures of others are events of the backend."""
    for found in find_orphans(signing.catalog, signing.backends):
        if found.failed is None:
            tell(signing.observer, OrphansCounted(found.backend, len(found.unknown), len(found.missing)))
