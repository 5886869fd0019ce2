"""A flood of bad tokens fills no disk: a few lines each second for each issuer and reason, and a count of the rest."""

from __future__ import annotations

import io
import json
from typing import Any

from sealwright.clock import ManualClock
from sealwright.errors import Reason
from sealwright.telemetry.logs import Logs


def limited(clock: ManualClock, **options: Any) -> tuple[Logs, io.StringIO]:
    stream = io.StringIO()
    return Logs(stream, clock=clock, **{"accepted": False, "refusals_per_s": 5, **options}), stream


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_token_that_is_accepted_has_a_line_only_where_that_is_asked_for(clock: ManualClock, happened: Any) -> None:
    logs, stream = limited(clock)
    logs.observe(happened.decided())
    assert written(stream) == []
    logs.accepted = True
    for _ in range(100):
        logs.observe(happened.decided())
    assert len(written(stream)) == 100


def test_of_a_flood_some_lines_are_written_and_the_next_one_counts_the_rest(clock: ManualClock, happened: Any) -> None:
    logs, stream = limited(clock)
    expired = happened.decided(outcome="rejected", reason=Reason.CLAIMS_EXPIRED)
    for _ in range(1000):
        logs.observe(expired)
    assert len(written(stream)) == 5
    logs.observe(happened.decided(outcome="rejected", reason=Reason.CLAIMS_AUDIENCE))
    logs.observe(happened.decided(outcome="rejected", reason=Reason.CLAIMS_EXPIRED, issuer="another"))
    assert len(written(stream)) == 7  # what is told is told apart
    clock.advance(1)
    for _ in range(2):
        logs.observe(expired)
    assert [line.get("left_out") for line in written(stream)[7:]] == [995, None]


def test_what_is_no_refusal_is_never_left_out(clock: ManualClock, happened: Any) -> None:
    logs, stream = limited(clock, refusals_per_s=1)
    for _ in range(50):
        logs.observe(happened.moved())
    assert len(written(stream)) == 50


def test_each_line_of_one_of_several_workers_has_its_number(clock: ManualClock, happened: Any) -> None:
    logs, stream = limited(clock, worker=3)
    logs.observe(happened.moved())
    assert written(stream)[0]["worker"] == 3
