"""Logs: one JSON line for each event, and the same shape for what uvicorn and other libraries warn about."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TextIO

from sealwright.clock import SYSTEM_CLOCK, Clock
from sealwright.events import Again, Event, TokenDecided
from sealwright.telemetry.log_facts import FACTS, is_said_elsewhere
from sealwright.telemetry.log_limits import LineLimit, refusal_kind
from sealwright.telemetry.shown import redacted

MAXIMUM_MESSAGE_CHARACTERS = 8192


class Logs:
    """Writes one line for each event to ``stream``, except for backend calls that went well.

    Without ``accepted`` there is none for tokens that were; ``refusals_per_s`` bounds those of each issuer and reason.
    ``worker`` is the number of this process among several.
    Lines are ASCII, and no part of a token is in one. An id or a name that is longer than 128 characters, not
    printable ASCII or shaped like a token is shown as ``sha256:`` and 16 hexadecimal digits.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Clock = SYSTEM_CLOCK,
        accepted: bool = True,
        refusals_per_s: int | None = None,
        worker: int | None = None,
    ) -> None:
        self.accepted = accepted  # may change at any time
        self._stream, self._clock = stream, clock
        self._limit = None if refusals_per_s is None else LineLimit(refusals_per_s)
        self._always: dict[str, Any] = {} if worker is None else {"worker": worker}
        self._writing = threading.Lock()

    def observe(self, event: Event) -> None:
        if isinstance(event, TokenDecided) and event.outcome == "accepted" and not self.accepted:
            return
        facts = FACTS.get(type(event))
        if facts is not None and not is_said_elsewhere(event):
            with self._writing:
                self._write(event, facts)

    def prepared(self, event: TokenDecided) -> Again:
        def again(duration_s: float) -> None:
            if self.accepted or event.outcome != "accepted":
                self.observe(replace(event, duration_s=duration_s))

        return again

    def _write(self, event: Event, facts: Callable[[Any], dict[str, Any]]) -> None:
        kind, left_out = refusal_kind(event), 0
        if self._limit is not None and kind is not None:
            told = self._limit.left_out(kind, self._clock.monotonic())
            if told is None:
                return
            left_out = told
        more = {"left_out": left_out} if left_out else {}
        self._stream.write(_line(self._clock.now(), {**facts(event), **more, **self._always}) + "\n")
        self._stream.flush()


class JSONLines(logging.Formatter):
    """A record of the logging module as one JSON line, tokens in it replaced by their digests."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "level": record.levelname.lower(),
            "event": "process.message",
            "logger": record.name,
            "message": redacted(_message(record))[:MAXIMUM_MESSAGE_CHARACTERS],
        }
        if record.exc_info:
            trace = redacted(self.formatException(record.exc_info))
            facts["exception"] = trace[-MAXIMUM_MESSAGE_CHARACTERS:]  # the error is at the end
        return _line(record.created, facts)


def json_logging_config() -> dict[str, Any]:
    """For uvicorn's ``log_config``: warnings and errors of every library as JSON on stderr, no access log."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "sealwright.telemetry.logs.JSONLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "uvicorn": {"handlers": [], "level": "WARNING", "propagate": True},
            "uvicorn.error": {"handlers": [], "level": "WARNING", "propagate": True},
            # Without a handler in reach uvicorn does not even build the line; a query string could hold a token.
            "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
        },
    }


def _line(at: float, facts: Mapping[str, Any]) -> str:
    time = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": time, **facts})


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit: show neither them nor a traceback
        return str(record.msg)
