"""Draw the map in ARCHITECTURE.md from the first line of every module; --check compares instead of writing."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE, PAGE = ROOT / "src" / "sealwright", ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- map -->\n```\n", "```\n<!-- end of map -->"


def main() -> None:
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    drawn = before + BEGIN + draw() + END + after
    if "--check" not in sys.argv:
        PAGE.write_text(drawn, "utf-8")
    elif drawn != text:
        sys.exit("the map in ARCHITECTURE.md is out of date: run make map")


def draw() -> str:
    return "".join(line(path) for path in sorted(SOURCE.rglob("*.py"), key=place))


def place(path: Path) -> tuple[str, bool, str]:
    return str(path.parent), path.name != "__init__.py", path.name


def line(path: Path) -> str:
    name = path.relative_to(SOURCE)
    label = f"{name.parent}/" if path.name == "__init__.py" else str(name)
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or sys.exit(f"{name} has no docstring")
    return f"{label:<42} {docstring.splitlines()[0]}\n"


if __name__ == "__main__":
    main()
