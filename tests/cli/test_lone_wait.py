"""--wait may stand alone, wherever it is typed; a duration that is given counts."""

from __future__ import annotations

import pytest

from sealwright.cli.main import kids_last, wait_given

KID = "-" + "a_B-" * 10 + "xy"
EMERGENCY = ["keys", "emergency-rotate", "--reason", "leak"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ([*EMERGENCY, "--wait"], [*EMERGENCY, "--wait", "30s"]),
        ([*EMERGENCY, "--wait", "--json"], [*EMERGENCY, "--wait", "30s", "--json"]),
        ([*EMERGENCY, "--wait", "5s"], [*EMERGENCY, "--wait", "5s"]),
        ([*EMERGENCY, "--wait", "soon"], [*EMERGENCY, "--wait", "soon"]),
        ([*EMERGENCY, "--wait=5s"], [*EMERGENCY, "--wait=5s"]),
        (["keys", "enforced", KID, "--wait"], ["keys", "enforced", "--wait", "30s", "--", KID]),
        (["keys", "enforced", "--wait", KID], ["keys", "enforced", "--wait", "30s", "--", KID]),
        (EMERGENCY, EMERGENCY),
    ],
)
def test_it_is_thirty_seconds_when_it_stands_alone(typed: list[str], meant: list[str]) -> None:
    assert wait_given(kids_last(typed)) == meant
