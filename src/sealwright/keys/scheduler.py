"""Scheduler: makes the moves that are due, again and again, in one process of all that share a catalog."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.errors import Reason, RefusedError, SealwrightError, UnavailableError
from sealwright.events import Observer, ScheduledStepFailed, SchedulerTicked, TickOutcome, tell
from sealwright.keys.catalog import KeyCatalog
from sealwright.keys.lifecycle import KeyLifecycle
from sealwright.keys.policy import Policies
from sealwright.keys.rotation import Move, MoveKind, due_moves
from sealwright.keys.steadiness import Reading, Steadiness

ACTOR, REASON, TURN = "scheduler", "scheduled", "scheduler"
LONGEST_BACKOFF_S = 600.0
STEADY_BEFORE_DESTRUCTION_S = 3600.0
CLOSING_S = 10.0


@dataclass(frozen=True, slots=True)
class Chore:
    """What is done beside the moves, once every so many ticks; whatever it raises is reported."""

    name: str
    run: Callable[[], None]
    every_ticks: int = 1


class Scheduler:
    """One ``tick`` makes what is due; ``start`` ticks in a daemon thread. ``chores`` may be added before the start.

    A tick believes only a clock that an earlier tick confirms, and destroys only while the clock has been steady for
    an hour, or for as long as a retirement can be undone if that is less: one wrong reading must not cost a key.
    """

    def __init__(
        self,
        lifecycle: KeyLifecycle,
        catalog: KeyCatalog,
        policies: Policies,
        *,
        clock: Clock = SYSTEM_CLOCK,
        observer: Observer | None = None,
        every_s: float = 10.0,
    ) -> None:
        self.chores: list[Chore] = []
        self._lifecycle = lifecycle
        self._catalog = catalog
        self._policies = policies
        self._clock = clock
        self._observer = observer
        self._every_s = every_s
        self._steadiness = Steadiness(clock)
        self._retries: dict[Move, tuple[int, float]] = {}  # failures so far, and when on the monotonic clock to retry
        self._turns_taken = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def tick(self) -> TickOutcome:
        """Make what is due. Never raises; says how it went."""
        began, reading = self._clock.monotonic(), self._steadiness.read()
        outcome: TickOutcome = "starting" if reading.first else "clock_jumped"
        reason: Reason | None = None
        try:
            if not reading.first and not reading.jumped:
                outcome = self._in_turn(reading)
        except Exception as error:  # noqa: BLE001 the next tick tries again, whatever this was
            outcome, reason = "failed", _reason(error)
        tell(self._observer, SchedulerTicked(outcome, self._clock.monotonic() - began, reason))
        return outcome

    def start(self) -> Self:
        """Tick now and from now on, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="sealwright-scheduler", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop; a move that is being made is finished, unless that takes longer than ten seconds."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(CLOSING_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.tick()
            self._stopping.wait(self._every_s)

    def _in_turn(self, reading: Reading) -> TickOutcome:
        with ExitStack() as turn:
            try:
                turn.enter_context(self._catalog.turn(TURN, wait_s=0))
            except UnavailableError as error:
                if error.reason is Reason.CATALOG_BUSY:
                    return "elsewhere"
                raise
            moved = self._make_moves(reading)
            return "done" if self._do_chores() and moved else "failed"

    def _make_moves(self, reading: Reading) -> bool:
        tried: set[Move] = set()
        issuers = dict.fromkeys(move.issuer for move in self._due(None, reading))
        succeeded = [self._make_moves_of(issuer, reading, tried) for issuer in issuers]
        self._retries = {move: retry for move, retry in self._retries.items() if move in tried}
        return all(succeeded)

    def _make_moves_of(self, issuer: str, reading: Reading, tried: set[Move]) -> bool:
        """Looks again after each move: one may allow the next, and somebody else may have been faster."""
        succeeded = True
        while not self._stopping.is_set():
            move = next((move for move in self._due(issuer, reading) if move not in tried), None)
            if move is None:
                break
            tried.add(move)
            succeeded &= self._attempt(move)
        return succeeded

    def _due(self, issuer: str | None, reading: Reading) -> list[Move]:
        records = self._catalog.records(issuer)
        due = due_moves(records, self._policies, reading.now, self._lifecycle.fleet.facts(records))
        return [move for move in due if move.kind is not MoveKind.DESTROY or self._steady(move, reading)]

    def _steady(self, move: Move, reading: Reading) -> bool:
        restorable_s = self._policies.of(move.issuer).timings.restorable_s
        return reading.steady_s >= min(STEADY_BEFORE_DESTRUCTION_S, restorable_s)

    def _attempt(self, move: Move) -> bool:
        """Whether the move is made, or need not be made any more."""
        failures, retry_at = self._retries.get(move, (0, 0.0))
        if failures and self._clock.monotonic() < retry_at:
            return False
        try:
            self._make(move)
        except Exception as error:  # noqa: BLE001 a bug in one driver must not keep other issuers from their moves
            if isinstance(error, RefusedError) and error.reason is Reason.CATALOG_CONFLICT:
                return True  # somebody else moved this key just now; the next tick sees how
            self._failed(move.kind, move.issuer, move.key_id, error)
            wait_s = min(LONGEST_BACKOFF_S, self._every_s * (2.0 ** min(failures, 30) - 1))
            self._retries[move] = (failures + 1, self._clock.monotonic() + wait_s)
            return False
        return True

    def _make(self, move: Move) -> None:
        keys, upkeep, key_id = self._lifecycle, self._lifecycle.upkeep, str(move.key_id)
        match move.kind:
            case MoveKind.ERASE:
                upkeep.erase(move.handle, ACTOR, REASON)
            case MoveKind.WITHDRAW:
                upkeep.withdraw(move.handle, ACTOR, REASON)
            case MoveKind.RETIRE:
                keys.retire(key_id, actor=ACTOR, reason=REASON)
            case MoveKind.DESTROY:
                keys.destroy(key_id, actor=ACTOR, reason=REASON)
            case MoveKind.MAKE_STANDBY:
                upkeep.make_standby((move.issuer, move.purpose, move.algorithm), ACTOR, REASON)
            case MoveKind.ROTATE:
                keys.rotate(
                    move.issuer,
                    key_id=key_id,
                    algorithm=move.algorithm,
                    purpose=move.purpose,
                    actor=ACTOR,
                    reason=REASON,
                )

    def _do_chores(self) -> bool:
        succeeded = True
        for chore in self.chores:
            if self._turns_taken % chore.every_ticks == 0:
                try:
                    chore.run()
                except Exception as error:  # noqa: BLE001 one chore must stop neither the others nor the moves
                    self._failed(chore.name, "", None, error)
                    succeeded = False
        self._turns_taken += 1
        return succeeded

    def _failed(self, step: str, issuer: str, key_id: str | None, error: Exception) -> None:
        tell(self._observer, ScheduledStepFailed(str(step), issuer, key_id, _reason(error)))


def _reason(error: Exception) -> Reason:
    return error.reason if isinstance(error, SealwrightError) else Reason.SERVICE_FAULT
