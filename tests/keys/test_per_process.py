"""One driver for each process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from concurrent import futures

from sealwright.keys.per_process import PerProcess


def test_threads_that_ask_at_once_share_one_driver_and_the_others_are_closed() -> None:
    barrier = threading.Barrier(8)
    made: list[object] = []
    closed: list[object] = []

    def opened() -> object:
        barrier.wait(10)
        made.append(object())
        return made[-1]

    drivers: PerProcess[object] = PerProcess(opened, closed.append)
    with futures.ThreadPoolExecutor(8) as pool:
        got = [one.result() for one in [pool.submit(drivers.get) for _ in range(8)]]
    assert len(set(got)) == 1
    assert {*closed, got[0]} == set(made)
    drivers.close()
    drivers.close()
    assert len(closed) == len(made) == 8


def test_a_child_opens_a_driver_of_its_own_and_leaves_its_parents_alone() -> None:
    program = """
        import os
        from sealwright.keys.per_process import PerProcess
        closed = []
        drivers = PerProcess(os.getpid, closed.append)
        parent = drivers.get()
        child = os.fork()
        assert drivers.get() == os.getpid()
        drivers.close()
        assert closed == [os.getpid()]
        if child == 0:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
