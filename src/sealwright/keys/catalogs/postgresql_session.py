"""Sessions with PostgreSQL that end in bounded time, whichever side, or the way between them, has stopped."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeVar, cast

import psycopg

from sealwright.clock import SYSTEM_CLOCK
from sealwright.keys.catalogs.database import ANSWER_WITHIN_S

T = TypeVar("T")

# What the server does with a session: it gives up on statements and on locks before our own patience ends, takes the
# locks of a process that stands still in a transaction, and notices within seconds that the other side is cut off.
_SERVER_SIDE = {
    "statement_timeout": 4500,
    "lock_timeout": 4000,
    "idle_in_transaction_session_timeout": 3000,
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_CLIENT_SIDE = {
    "application_name": "sealwright",
    "connect_timeout": int(ANSWER_WITHIN_S),
    "target_session_attrs": "read-write",  # among several hosts, the one that is the primary
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": int(ANSWER_WITHIN_S * 1000),
}


class Session(psycopg.Connection[Any]):
    """A connection that is closed when one answer takes longer than ``answer_within_s``; None waits for ever."""

    answer_within_s: float | None = ANSWER_WITHIN_S

    def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
        return super().wait(self._bounded(gen), *arguments, **named)

    def _bounded(self, steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """The steps of one exchange; psycopg goes on with them ten times a second even when nothing arrives."""
        began = SYSTEM_CLOCK.monotonic()
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                limit_s = self.answer_within_s
                if not ready and limit_s is not None and SYSTEM_CLOCK.monotonic() - began > limit_s:
                    steps.close()
                    self.close()
                    raise psycopg.OperationalError("the server does not answer")
                wanted = steps.send(ready)
        except StopIteration as done:
            return cast(T, done.value)


def connect_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for libpq; what the URL says itself wins."""
    ours = " ".join(f"-c {name}={value}" for name, value in _SERVER_SIDE.items())
    return {**_CLIENT_SIDE, **given, "options": f"{ours} {given.get('options', '')}".strip()}
