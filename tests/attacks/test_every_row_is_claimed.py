"""No row of the table of known attacks without a test that names it."""

from __future__ import annotations

import ast
from pathlib import Path

ROWS = set(range(1, 30))


def claimed() -> dict[int, list[str]]:
    """Row -> the test functions that carry ``pytest.mark.attack(row)``, as they are written."""
    found: dict[int, list[str]] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for row in rows_of(node):
                    found.setdefault(row, []).append(node.name)
    return found


def rows_of(test: ast.FunctionDef) -> list[int]:
    calls = [node for node in test.decorator_list if isinstance(node, ast.Call)]
    marks = [node for node in calls if ast.unparse(node.func) == "pytest.mark.attack"]
    return [ast.literal_eval(argument) for mark in marks for argument in mark.args]


def test_every_row_is_claimed_by_a_test() -> None:
    assert ROWS - claimed().keys() == set()


def test_no_test_claims_a_row_that_there_is_not() -> None:
    assert claimed().keys() - ROWS == set()
