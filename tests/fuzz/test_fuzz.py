"""Half a minute of made-up input for the parsers in every test run; ``make fuzz`` is the long form."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import campaign
import pytest
import targets

SECONDS_IN_ALL = 30

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="THE PARSERS ARE NOT FUZZED: atheris has no wheel for this platform",
)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_a_parser_meets_made_up_input_with_errors_of_ours_only(name: str, tmp_path: Path) -> None:
    (outcome,) = campaign.run([name], tmp_path, seconds=SECONDS_IN_ALL / len(targets.TARGETS))
    # How slow an input may be is for `make fuzz` to judge, on a machine that does nothing else.
    assert not [one for one in outcome.findings if one != campaign.SLOW], campaign.table([outcome]) + outcome.log
    assert outcome.measured["runs"] > 0
    assert outcome.coverage > 0


def test_every_parser_has_inputs_to_begin_with() -> None:
    assert targets.TARGETS.keys() <= campaign.seeds.corpora().keys()


def test_the_campaign_sees_a_planted_fault(tmp_path: Path) -> None:
    (outcome,) = campaign.run(list(targets.PLANTED), tmp_path, runs=200_000)
    assert any("crash-" in finding for finding in outcome.findings)
    assert "AttributeError" in outcome.log
