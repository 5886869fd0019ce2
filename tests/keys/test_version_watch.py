"""The version of a shared catalog, as a thread reads it again and again."""

from __future__ import annotations

import time

from sealwright.keys.catalogs.version_watch import VersionWatch

EVERY_S = 0.5


def test_after_an_answer_that_was_long_in_coming_the_next_is_asked_for_at_once() -> None:
    """As after an outage: what was asked during it is too old a moment later."""
    asked: list[float] = []
    answered_at = 0.0

    def read() -> int:
        nonlocal answered_at
        asked.append(time.monotonic())
        if len(asked) == 3:  # the first of the thread
            time.sleep(EVERY_S * 1.2)
            answered_at = time.monotonic()
        return len(asked)

    watch = VersionWatch(read, EVERY_S)
    assert watch.version() == 2
    deadline = time.monotonic() + 20
    while len(asked) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    watch.close()
    assert asked[3] - answered_at < EVERY_S
