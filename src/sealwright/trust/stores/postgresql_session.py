"""Session: a connection to PostgreSQL that ends when one answer takes too long.

The key catalog has one like it, which verifiers cannot reach.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeVar, cast

import psycopg

from sealwright.clock import SYSTEM_CLOCK

T = TypeVar("T")


class Session(psycopg.Connection[Any]):
    answer_within_s = 1.0

    def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
        return super().wait(self._bounded(gen), *arguments, **named)

    def _bounded(self, steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """The steps of one exchange; psycopg goes on with them ten times a second even when nothing arrives."""
        until = SYSTEM_CLOCK.monotonic() + self.answer_within_s
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                if not ready and SYSTEM_CLOCK.monotonic() > until:
                    steps.close()
                    self.close()
                    raise psycopg.OperationalError("the server does not answer")
                wanted = steps.send(ready)
        except StopIteration as done:
            return cast(T, done.value)


def connected(answer_within_s: float, arguments: Mapping[str, Any]) -> Session:
    session = Session.connect(**arguments)
    session.answer_within_s = answer_within_s
    return session
