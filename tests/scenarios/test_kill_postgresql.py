"""kill -9 in the middle of create, rotate, emergency and destroy, on PostgreSQL: nothing is lost, nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from key_moves import KINDS
from kill_campaign import Campaign, stores_on
from running_service import RunningService


def test_four_kills_on_postgresql_lose_nothing_and_leave_nothing(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    campaign = Campaign(start_service, stores_on("postgresql", tmp_path), seed=1)
    campaign.run(len(KINDS))
    assert campaign.interrupted.total() >= 2  # the kills came in the middle of moves


@pytest.mark.soak
@pytest.mark.parametrize("part", range(8))
def test_two_hundred_kills_on_postgresql_lose_nothing_and_leave_nothing(
    part: int,
    start_service: Callable[..., RunningService],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    campaign = Campaign(start_service, stores_on("postgresql", tmp_path), seed=100 + part)
    campaign.run(25)
    assert set(campaign.interrupted) == set(KINDS)
    record_property("kills", campaign.kills)
    record_property("moves without an answer", dict(campaign.interrupted))
