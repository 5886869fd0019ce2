"""A kid that begins with a hyphen is no option."""

from __future__ import annotations

import pytest

from sealwright.cli.main import kids_last

KID = "-" + "a_B-" * 10 + "xy"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["keys", "retire", KID, "--force"], ["keys", "retire", "--force", "--", KID]),
        (["keys", "retire", "--force", KID], ["keys", "retire", "--force", "--", KID]),
        (["keys", "retire", "--", KID], ["keys", "retire", "--", KID]),
        (["keys", "emergency-rotate", "--kid", KID], ["keys", "emergency-rotate", "--kid", KID]),
        (["keys", "list", "--json"], ["keys", "list", "--json"]),
        (["keys", "retire", KID[1:]], ["keys", "retire", KID[1:]]),
    ],
)
def test_it_goes_behind_the_options(typed: list[str], meant: list[str]) -> None:
    assert len(KID) == 43
    assert kids_last(typed) == meant
