"""When a legal move must still wait, and what would satisfy it. Pure; every guard names itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from sealwright.errors import Reason, RefusedError
from sealwright.keys.fleet import Member, lacking, last_accepted_at
from sealwright.keys.record import IN_JWKS, KeyRecord
from sealwright.keys.states import KeyState
from sealwright.keys.timings import KeyTimings

MOST_NAMED = 5  # verifiers in the message of a guard
ROUTINE = "routine"  # the reason of whoever gave none: not enough to force a guard


def check_reason(reason: str) -> None:
    if not reason.strip() or reason == ROUTINE:
        raise RefusedError(Reason.MOVE_REASON_MISSING, "this needs a reason of its own: it is written to the audit")


def overridden(checks: Iterable[Callable[[], None]], force: bool, reason: str) -> Sequence[str]:
    """Ask guards; those that ``force`` overrode, for the audit."""
    forced: list[str] = []
    for check in checks:
        try:
            check()
        except RefusedError as refused:
            if not force:
                raise
            check_reason(reason)
            forced.append(str(refused.reason))
    return forced


def check_dwell(standby: KeyRecord, siblings: Iterable[KeyRecord], timings: KeyTimings, now: float) -> None:
    """A key signs only once every verifier can know it.

    A key of the first set ever published needs no dwell: no verifier holds a set without it. In that set a key was
    activated in the instant of its publication; comparing that, and not the order, survives a clock set back.
    """
    ready = dwell_ends_at(standby, siblings, timings)
    if now < ready:
        _wait(Reason.GUARD_DWELL, "verifiers may not know the standby key yet", ready, now)


def dwell_ends_at(standby: KeyRecord, siblings: Iterable[KeyRecord], timings: KeyTimings) -> float:
    """When a standby may sign; 0 for the first one of an issuer."""
    published = standby.published_at or 0.0
    ever = [record for record in siblings if record.published_at is not None]
    if all(record.published_at == published for record in ever) and any(r.activated_at == published for r in ever):
        return 0.0
    return published + timings.standby_dwell_s


def check_verify_window(record: KeyRecord, timings: KeyTimings, now: float) -> None:
    """A key is published until the last token that it signed has expired everywhere."""
    if record.state is not KeyState.VERIFY_ONLY:
        return
    ready = verify_window_ends_at(record, timings)
    if now < ready:
        _wait(Reason.GUARD_VERIFY_WINDOW, "tokens of this key may still be in use", ready, now)


def verify_window_ends_at(record: KeyRecord, timings: KeyTimings) -> float:
    """When a verify_only key may leave the published set."""
    return max(
        (record.last_signed_at or 0.0) + timings.verify_tail_s,
        (record.verify_only_at or 0.0) + timings.verify_window_floor_s,
    )


def patience_ends_at(
    active: KeyRecord, standby: KeyRecord, siblings: Iterable[KeyRecord], timings: KeyTimings, patience_s: float
) -> float:
    """Until when verifiers that lack a standby hold up a rotation that is due: one of them may be broken, or lie."""
    if not timings.rotation_period_s:
        return math.inf
    due = (active.activated_at or 0.0) + timings.rotation_period_s
    return max(due, dwell_ends_at(standby, siblings, timings)) + patience_s


def check_acknowledged(standby: KeyRecord, live: Sequence[Member], share: float) -> None:
    """A key signs only once the verifiers that report to us hold it. Evidence; where there is none, dwell decides."""
    if not is_acknowledged(standby, live, share):
        behind = lacking(live, standby.issuer, standby.key_id)
        since = [(max(standby.published_at or 0.0, one.first_seen_at), one) for one in behind]
        named = [f"{one} since {_when(at)}" for at, one in sorted(since, key=lambda item: item[0])[:MOST_NAMED]]
        more = f" and {len(behind) - MOST_NAMED} more" if len(behind) > MOST_NAMED else ""
        message = f"{len(behind)} of {len(live)} verifiers do not hold this key: {', '.join(named)}{more}"
        why = "sealwright fleet shows them; wait for them, or use --force with a --reason"
        raise RefusedError(Reason.GUARD_ACKNOWLEDGEMENT, f"{message}: {why}")


def is_acknowledged(standby: KeyRecord, live: Sequence[Member], share: float) -> bool:
    """Only what is in the JWKS can be acknowledged. A verifier counts once, by the part of its processes that hold it:
    nobody gains weight by reporting under many names of processes.
    """
    if not live or standby.purpose not in IN_JWKS:
        return True
    processes: dict[str, list[bool]] = {}
    for one in live:
        processes.setdefault(one.name, []).append(one.holds(standby.issuer, standby.key_id))
    held = sum(sum(holding) / len(holding) for holding in processes.values())
    return held >= share * len(processes) - 1e-9


def used_until(accepted_at: float | None, record: KeyRecord, timings: KeyTimings, patience_s: float) -> float:
    """Until when tokens of a key must be expected, by its last acceptance; 0 where nobody accepted one.

    All that it signed has expired when its window ends. What is accepted later is somebody's mistake, or a lie, and
    holds up the key for ``patience_s`` at most.
    """
    if accepted_at is None:
        return 0.0
    latest = (record.verify_only_at or 0.0) + timings.verify_window_s + patience_s
    return min(accepted_at + timings.verify_tail_s, latest)


def check_not_accepted(
    record: KeyRecord, live: Sequence[Member], timings: KeyTimings, now: float, patience_s: float
) -> None:
    """A key that a verifier accepted a moment ago is in use, whatever the clock of its last signature says."""
    accepted_at = last_accepted_at(live, record.issuer, record.key_id)
    ready = used_until(accepted_at, record, timings, patience_s)
    if record.state is KeyState.VERIFY_ONLY and now < ready:
        who = [str(one) for one in live if last_accepted_at([one], record.issuer, record.key_id) == accepted_at]
        _wait(Reason.GUARD_STILL_ACCEPTED, f"verifiers still accept this key, {who[0]} the last", ready, now)


def check_restorable(record: KeyRecord, timings: KeyTimings, now: float) -> None:
    """Only a retirement can be undone (the table also lets an active key step down), and only for a time."""
    if record.state is not KeyState.RETIRED:
        raise RefusedError(Reason.MOVE_ILLEGAL, f"a {record.state} key cannot be restored: only a retired one can")
    if now >= restorable_until(record, timings):
        raise RefusedError(Reason.GUARD_RESTORABLE, "the time in which this retirement could be undone has ended")


def check_destroyable(record: KeyRecord, timings: KeyTimings, now: float) -> None:
    ready = restorable_until(record, timings)
    if record.state is KeyState.RETIRED and now < ready:
        _wait(Reason.GUARD_RESTORABLE, "this key can still be restored", ready, now)


def restorable_until(record: KeyRecord, timings: KeyTimings) -> float:
    """When the retirement of a key becomes final, and its private half may go."""
    return (record.retired_at or 0.0) + timings.restorable_s


def check_room(siblings: Sequence[KeyRecord], timings: KeyTimings) -> None:
    """One more published key must fit under the cap, since consumers read a bounded number."""
    if not has_room(siblings, timings):
        raise RefusedError(
            Reason.GUARD_PUBLISHED_KEYS,
            f"the issuer publishes {timings.published_keys} keys already: retire those whose tokens have expired first",
        )


def has_room(siblings: Iterable[KeyRecord], timings: KeyTimings) -> bool:
    return sum(record.published for record in siblings) < timings.published_keys


def check_no_hold(record: KeyRecord) -> None:
    """Evidence that a key is still needed beats every timer."""
    if record.hold is not None:
        raise RefusedError(Reason.GUARD_HOLD, f"the key is on hold ({record.hold}): keys release ends that")


def check_not_active(record: KeyRecord, instead: str) -> None:
    if record.state is KeyState.ACTIVE:
        raise RefusedError(Reason.GUARD_ACTIVE_KEY, f"this is the active key: use {instead}")


def _wait(guard: Reason, why: str, ready: float, now: float) -> None:
    until = _when(ready)
    raise RefusedError(guard, f"{why}: wait {ready - now:.0f} s, until {until}, or use --force with a --reason")


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
