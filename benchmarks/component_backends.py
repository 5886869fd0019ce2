"""The key backends whose components this machine has: each as the contract suite sets it up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from _pytest.outcomes import Skipped

from sealwright.keys.backend import KeyBackend

TESTS = Path(__file__).parents[1] / "tests"
IN_PROCESS = frozenset({"memory", "observed"})  # the local one around again, or no backend to measure


def available(folder: Path, stack: ExitStack) -> Iterator[tuple[str, KeyBackend]]:
    """Names of backends, each open until the stack is closed; one whose component is missing is left out."""
    sys.path += [str(TESTS / "components"), str(TESTS / "contracts")]
    from implementations import BACKENDS

    for name, opened in BACKENDS.items():
        if name in IN_PROCESS:
            continue
        try:
            (folder / name).mkdir()
            yield name, stack.enter_context(opened(folder / name))
        except Skipped as missing:
            print(f"{name} is not measured: {missing}", file=sys.stderr)
