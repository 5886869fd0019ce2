"""The figures of functions can be taken, and the work is what they say: one fetch an instance, none with baked keys."""

from __future__ import annotations

import pytest
from benchmarks.serverless import __main__ as serverless


@pytest.mark.soak
def test_one_round_runs_with_every_contestant(capsys) -> None:
    found = serverless.measure(1, ["ES256"])
    assert all(seen[name]["warm_ms"] > 0 for seen in found.values() for name in serverless.CONTESTANTS)
    serverless.show(found)
    assert "ES256, ours, baked" in capsys.readouterr().out
