"""A command loads the verb that it is asked for, and no other: each costs a tenth of a second."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sealwright.cli.main import VERBS

LOADED = """
import sys
from sealwright.cli.main import command
command(sys.argv[1])
print(*sorted(sys.modules))
"""


@pytest.mark.parametrize("verb", ["version", "jwk"])
def test_settings_and_other_verbs_are_not_loaded(verb: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, verb], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    files = {place.partition(":")[0] for places in VERBS.values() for place in places} - {verb}
    assert not loaded & {f"sealwright.cli.{file}" for file in files}
    assert not loaded & {"pydantic_settings", "sealwright.settings", "fastapi", "sqlalchemy"}
