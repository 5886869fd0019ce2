"""Workers: several processes that answer on the same sockets, and their parent, which starts the dead ones anew."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from socket import socket

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from sealwright.clock import SYSTEM_CLOCK
from sealwright.errors import SealwrightError
from sealwright.events import Observer, WorkerEnded, tell
from sealwright.services.verifier_service.http_server import STOP_WITHIN_S, DrainingServer
from sealwright.trust.backoff import Backoff

EXIT_WRONG = 6
_LONGEST_STOP_S = STOP_WITHIN_S + 10.0
_STEADY_S = 60.0  # a worker that lived for so long is started anew at once
ConfigOf = Callable[[int], uvicorn.Config]


def serve_alone(config: uvicorn.Config, sockets: Sequence[socket]) -> None:
    """Returns after an orderly stop. Raises what making the application raises."""
    stop_in_order()
    try:
        DrainingServer(config).run(list(sockets))
    except KeyboardInterrupt:  # raised once more after an orderly stop
        return


def stop_in_order() -> None:
    """uvicorn shuts down and then raises the signal again: both kinds of stop are clean. SIGHUP waits."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


class _Worker(Process):
    """One worker process, which says in one line why it cannot start."""

    def target(self, sockets: list[socket] | None = None) -> None:
        try:
            serve_alone(self.config, sockets or [])
        except SealwrightError as error:
            sys.stderr.write(f"sealwright-verifier: {error}\n")
            sys.exit(error.exit_code)


class _Slot:
    """The place of one worker: who is in it, since when, and from when on another may be."""

    def __init__(self, worker: _Worker) -> None:
        self.worker, self.starts = worker, 1
        self.began, self.backoff = SYSTEM_CLOCK.monotonic(), Backoff(0.1, 60.0, 0.1)

    def ended(self) -> None:
        now = SYSTEM_CLOCK.monotonic()
        if now - self.began > _STEADY_S:
            self.backoff.succeeded()
        self.backoff.failed(now)


class Workers(Multiprocess):
    """Each worker has a configuration of its own, and starts as a program of its own, not as a fork.

    ``exit_code`` is that of a worker whose very first start said that the settings are wrong, which ends all.
    """

    def __init__(
        self, config_of: ConfigOf, count: int, drain_s: float, sockets: Sequence[socket], observer: Observer
    ) -> None:
        self._config_of, self._longest_stop_s, self._observer = config_of, drain_s + _LONGEST_STOP_S, observer
        self._slots: dict[int, _Slot] = {}
        self.exit_code = 0
        super().__init__(config_of(0), list(sockets))
        self.processes_num = count

    def init_processes(self) -> None:
        for number in range(self.processes_num):
            self._slots[number] = _Slot(self._started(number))
        self.processes = [slot.worker for slot in self._slots.values()]

    def keep_subprocess_alive(self) -> None:
        """A worker is alive while its process is: that it can decide is for who asks it whether it is ready."""
        for number, slot in self._slots.items():
            if not slot.worker.process.is_alive() and not self.should_exit.is_set():
                self._replace(number, slot)

    def terminate_all(self) -> None:
        """First its own sockets: who connects once the workers take no more must be refused, not kept waiting."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def join_all(self) -> None:
        end = SYSTEM_CLOCK.monotonic() + self._longest_stop_s
        for slot in self._slots.values():
            slot.worker.process.join(max(0.0, end - SYSTEM_CLOCK.monotonic()))
            if slot.worker.process.is_alive():
                slot.worker.process.kill()
                slot.worker.process.join()

    def handle_hup(self) -> None:
        """Each worker reads the file again; none is replaced."""
        for slot in self._slots.values():
            if slot.worker.process.is_alive() and slot.worker.pid is not None:
                os.kill(slot.worker.pid, signal.SIGHUP)

    def handle_ttin(self) -> None:
        """How many workers there are is in the file."""

    handle_ttou = handle_ttin

    def _replace(self, number: int, slot: _Slot) -> None:
        if slot.starts == 1 and slot.worker.exitcode == EXIT_WRONG:
            self.exit_code = EXIT_WRONG
            self.should_exit.set()
        elif slot.backoff.until < slot.began:  # its end is news
            slot.ended()
            tell(self._observer, WorkerEnded(number, slot.worker.exitcode))
        elif SYSTEM_CLOCK.monotonic() >= slot.backoff.until:
            slot.worker, slot.starts, slot.began = self._started(number), slot.starts + 1, SYSTEM_CLOCK.monotonic()
            self.processes[number] = slot.worker

    def _started(self, number: int) -> _Worker:
        worker = _Worker(self._config_of(number), self.sockets)
        signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGHUP}
        )  # inherited: it would end one that does not listen yet
        try:
            worker.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        return worker
