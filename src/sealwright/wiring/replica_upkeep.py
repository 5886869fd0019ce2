"""ReplicaUpkeep: what each replica does for itself every few seconds, whoever else runs the scheduler."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

from sealwright.errors import SealwrightError
from sealwright.events import BackendChecked, ScheduledStepFailed, tell
from sealwright.keys.health import check_health
from sealwright.wiring.signing import SigningSide

EVERY_S = 5.0
FLUSH_EVERY_TICKS = CHECK_EVERY_TICKS = 12
COUNT_EVERY_TICKS = 3
CLOSING_S = 10.0


class ReplicaUpkeep:
    """Moves this replica's delegated keys on, tries its backends, and writes how often it handed tokens out again."""

    def __init__(
        self, signing: SigningSide, *, count_fleet: Callable[[], None] = lambda: None, every_s: float = EVERY_S
    ) -> None:
        self._signing = signing
        self._count_fleet = count_fleet
        self._every_s = every_s
        self._ticks = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealwright-replica", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def tick(self) -> None:
        """What fails now is reported, and done at a later tick."""
        self._try("delegation", self._signing.delegated.tick)
        self._ticks += 1
        if self._ticks % CHECK_EVERY_TICKS == 1:
            self._try("backend_health", self._check_backends)
        if self._ticks % COUNT_EVERY_TICKS == 1:
            self._try("fleet", self._count_fleet)
        if self._ticks % FLUSH_EVERY_TICKS == 0:
            self._try("reuse_counts", lambda: self._signing.presigned.flush(self._signing.catalog))

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(CLOSING_S)

    def _check_backends(self) -> None:
        for found in check_health(self._signing.catalog.records(), self._signing.backends):
            tell(self._signing.observer, BackendChecked(found.backend, found.reason))

    def _try(self, step: str, call: Callable[[], object]) -> None:
        try:
            call()
        except SealwrightError as error:
            tell(self._signing.observer, ScheduledStepFailed(step, "", None, error.reason))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.tick()
            self._stopping.wait(self._every_s)
